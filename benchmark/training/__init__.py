"""What every training of the suite is made of: loop, checkpoints, options, optimisers, crops."""

// Draws all but the curves, which wait for their library.
"use strict";

Viewer.start();
Tables.start();
Made.start();

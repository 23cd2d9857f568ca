# The command lines below the README's mark, so that what is tested here is what a newcomer types.
command_of() {
    local lines
    lines=$(awk -v mark="<!-- $1 -->" '$0 == mark {found = 1; next} found && /^```/ {if (inside) exit; inside = 1; next} inside' README.md)
    [ -n "$lines" ] || { echo "README.md has no command marked '$1'" >&2; return 1; }
    echo "$lines"
}

# The command lines below a mark in a document (default: README.md), so that what is tested is what a newcomer types.
command_of() {
    local lines file=${2:-README.md}
    lines=$(awk -v mark="<!-- $1 -->" '$0 == mark {found = 1; next} found && /^```/ {if (inside) exit; inside = 1; next} inside' "$file")
    [ -n "$lines" ] || { echo "$file has no command marked '$1'" >&2; return 1; }
    echo "$lines"
}

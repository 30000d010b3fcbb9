# bash completion for crm; put it into /usr/share/bash-completion/completions/crm
_crm() {
	local IFS=$'\n'
	COMPREPLY=($(crm complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
	[[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=:] ]] && compopt -o nospace
}
complete -F _crm crm

#compdef crm
# zsh completion for crm; put it as _crm into a directory of $fpath
local -a words_found
words_found=("${(@f)$(crm complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
compadd -a words_found

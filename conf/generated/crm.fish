# fish completion for crm; put it into ~/.config/fish/completions/crm.fish
complete -c crm -f -a '(crm complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'

# Completion for fish: neap's options, its words test and compile, folders and Lua files.

function __neap_word --description 'Is the first argument one of these?'
    set -l words (commandline -opc)
    contains -- "$words[2]" $argv
end

complete -c neap -f -a '(__fish_complete_suffix .lua)'
complete -c neap -n __fish_is_first_arg -a test -d 'Run specs'
complete -c neap -n __fish_is_first_arg -a compile -d 'Make one executable'

set -l plain 'not __neap_word test compile'
complete -c neap -n $plain -s e -x -d 'Execute a string'
complete -c neap -n $plain -s i -d 'Interactive mode after the script'
complete -c neap -n $plain -s l -x -d 'Require a module'
complete -c neap -n $plain -s v -d 'Show the version of Lua'
complete -c neap -n $plain -s E -d 'Ignore environment variables'
complete -c neap -n $plain -s W -d 'Turn warnings on'
complete -c neap -n $plain -l clock -x -a 'virtual real' -d 'Real time, or time that jumps'
complete -c neap -n $plain -l seed -x -d 'Shuffle the order of ready tasks'
complete -c neap -n $plain -l version -d 'Show the version of neap'

complete -c neap -n '__neap_word compile' -s o -r -F -d 'The executable to write'
complete -c neap -n '__neap_word compile' -s l -x -d 'Include a module'

complete -c neap -n '__neap_word test' -l filter -x -d 'Only specs whose names match'
complete -c neap -n '__neap_word test' -l filter-out -x -d 'Not the specs whose names match'
complete -c neap -n '__neap_word test' -l tags -x -d 'Only specs with these tags'
complete -c neap -n '__neap_word test' -l exclude-tags -x -d 'Not the specs with these tags'
complete -c neap -n '__neap_word test' -l pattern -x -d 'Names of the files'
complete -c neap -n '__neap_word test' -l repeat -x -d 'How often'
complete -c neap -n '__neap_word test' -l list -d 'List the specs'
complete -c neap -n '__neap_word test' -l shuffle -d 'In any order'
complete -c neap -n '__neap_word test' -l verbose -d 'Print errors in full'
complete -c neap -n '__neap_word test' -l no-keep-going -d 'End with the first error'
complete -c neap -n '__neap_word test' -l help -d 'Show all options of busted'

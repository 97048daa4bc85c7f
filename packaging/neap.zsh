#compdef neap
# Completion for zsh: neap's options, its words test and compile, folders and Lua files.

local lua_files='_files -g "*.lua"'

case $words[2] in
  test)
    shift words
    (( CURRENT-- ))
    _arguments -s \
      '*--filter=[only specs whose names match]:pattern' \
      '*--filter-out=[not the specs whose names match]:pattern' \
      '*--tags=[only specs with these tags]:tags' \
      '*--exclude-tags=[not the specs with these tags]:tags' \
      '--pattern=[names of the files]:pattern' \
      '--output=[how to print]:output:(plainTerminal utfTerminal TAP json junit gtest)' \
      '--repeat=[how often]:count' \
      '--seed=[for the order of specs]:number' \
      '--list[list the specs]' \
      '--shuffle[in any order]' \
      '--sort[in the order of their names]' \
      '--verbose[print errors in full]' \
      '--no-keep-going[end with the first error]' \
      '--suppress-pending[do not print pending specs]' \
      '--help[show all options of busted]' \
      "*:spec:$lua_files" ;;
  compile)
    shift words
    (( CURRENT-- ))
    _arguments \
      '-o[the executable to write]:program:_files' \
      '*-l[include a module]:module' \
      "1:script:$lua_files" ;;
  *)
    _arguments \
      '*-e[execute a string]:code' \
      '-i[interactive mode after the script]' \
      '*-l[require a module]:module' \
      '-v[show the version of Lua]' \
      '-E[ignore environment variables]' \
      '-W[turn warnings on]' \
      '--clock=[real time, or time that jumps]:clock:(virtual real)' \
      '--seed=[shuffle the order of ready tasks]:number' \
      '--version[show the version of neap]' \
      "1:script:{ _alternative 'words:word:(test compile)' 'scripts:script:_files -g \"*.lua\"' }" \
      '*::arguments:_files' ;;
esac

# Completion for bash: neap's options, its words test and compile, folders and Lua files.

_neap() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  if [[ $before == = ]]; then # bash parts --clock=x into three words
    before=${COMP_WORDS[COMP_CWORD - 2]}=
  elif [[ $word == = ]]; then
    before+== word=
  fi
  case $before in
    --clock=) mapfile -t COMPREPLY < <(compgen -W 'virtual real' -- "$word") ;;
    -e | -l | --*=) ;;
    *) _neap_place "$word" ;;
  esac
}

# What may stand where the cursor is depends on the words before it.
_neap_place() {
  local options='-e -i -l -v -E -W --clock= --seed= --version --' i
  if ((COMP_CWORD == 1)); then
    _neap_offer "$1" "test compile $options"
  elif [[ ${COMP_WORDS[1]} == test ]]; then
    _neap_offer "$1" '--filter= --filter-out= --tags= --exclude-tags= --pattern= --output= --repeat= --seed=
      --list --shuffle --sort --verbose --no-keep-going --suppress-pending --help'
  elif [[ ${COMP_WORDS[1]} == compile ]]; then
    _neap_offer "$1" '-o -l'
  else
    for ((i = 1; i < COMP_CWORD; i++)); do
      case ${COMP_WORDS[i]} in
        -e | -l | =) ((i++)) ;;
        -?*) ;;
        *) # behind the script all is its own
          compopt -o default 2>/dev/null
          return ;;
      esac
    done
    _neap_offer "$1" "$options"
  fi
}

# Those of the words $2 that begin with $1; without a dash also folders and Lua files.
_neap_offer() {
  if [[ $1 == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$2" -- "$1")
    if [[ ${COMPREPLY[*]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
    return
  fi
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(
    compgen -W "$2" -- "$1" | grep -v '^-'
    compgen -f -X '!*.lua' -- "$1"
    compgen -d -- "$1"
  )
}

complete -F _neap neap

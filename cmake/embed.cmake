# Writes the C file OUTPUT, which defines what core/embedded.h declares: the Lua files named in the
# file LIST, one a line, relative to ROOT. Bytes go in as numbers, so a file may hold anything.

file(STRINGS ${LIST} files)
set(arrays "")
set(rows "")
set(count 0)
foreach(file IN LISTS files)
  file(READ ${ROOT}/${file} bytes HEX)
  string(LENGTH "${bytes}" length)
  math(EXPR length "${length} / 2")
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")

  string(REGEX REPLACE "^lua/(.*)\\.lua$" "\\1" name ${file})
  string(REGEX REPLACE "/init$" "" name ${name})
  string(REPLACE "/" "." name ${name})

  string(APPEND arrays "static const unsigned char module${count}[] = {${bytes}0};\n")
  string(APPEND rows
    "  {\"${name}\", \"@${file}\", (const char *)module${count}, ${length}},\n")
  math(EXPR count "${count} + 1")
endforeach()

file(WRITE ${OUTPUT} "#include \"core/embedded.h\"

${arrays}
const struct embedded_module embedded_modules[] = {
${rows}  {0, 0, 0, 0},
};
")

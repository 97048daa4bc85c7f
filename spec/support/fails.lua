-- The results of a call must be nil, an error with that code and that text, and the code.
local assert = require "luassert"
local neap = require "neap"

return function(code, text, value, err, got, ...)
  assert.is_nil(value)
  assert.is_true(neap.is(err, neap.OSError), tostring(err))
  assert.equal(text, tostring(err))
  assert.equal(code, got)
  assert.equal(code, err.code)
  assert.equal(0, select("#", ...))
end

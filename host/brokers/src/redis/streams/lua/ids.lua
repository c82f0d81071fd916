-- Ids of entries, compared as the server does.
local function parts(id)
  local millis, n = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(millis), n
end
local function is_below(a, b)
  local am, an = parts(a)
  local bm, bn = parts(b)
  if am ~= bm then
    return am < bm
  end
  return #an < #bn or (#an == #bn and an < bn)
end

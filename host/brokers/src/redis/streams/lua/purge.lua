-- Empties a topic, or removes it. Its groups have nothing left, and lanes begin anew. KEYS: stream, due-stem, kept-stem, later, later-kept,
-- era. ARGV: whether the stream goes too, and for how long the era is remembered.
local stream = KEYS[1]
local removed, remember = take(), take()
if redis.call('EXISTS', stream) == 0 then
  return -1
end
local count = redis.call('XLEN', stream)
for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local group = info[2]
  redis.call('DEL', KEYS[2] .. ':' .. group, KEYS[3] .. ':' .. group)
  if removed ~= '1' then
    finish_all(stream, group)
    redis.call('XGROUP', 'SETID', stream, group, '$')
  end
end
redis.call('DEL', KEYS[4], KEYS[5])
if removed == '1' then
  redis.call('DEL', stream)
else
  redis.call('XTRIM', stream, 'MAXLEN', 0)
end
begin_era(KEYS[6], remember)
return count

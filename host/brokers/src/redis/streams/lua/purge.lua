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
    while true do
      local pending = redis.call('XPENDING', stream, group, '-', '+', 1000)
      if #pending == 0 then
        break
      end
      local ids = {}
      for i, p in ipairs(pending) do
        ids[i] = p[1]
      end
      redis.call('XACK', stream, group, unpack(ids))
    end
    redis.call('XGROUP', 'SETID', stream, group, '$')
  end
end
redis.call('DEL', KEYS[4], KEYS[5])
if removed == '1' then
  redis.call('DEL', stream)
else
  redis.call('XTRIM', stream, 'MAXLEN', 0)
end
local time = redis.call('TIME')
redis.call('SET', KEYS[6], time[1] .. time[2], 'EX', remember)
return count

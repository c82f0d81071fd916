-- Moves a group that nobody uses. KEYS: stream, due, kept, seat, era. Answers the id behind which it stands, or nothing.
local stream, due, kept, seat, era = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group, id, present, remember = take(), take(), number(), take()
local known = false
if redis.call('EXISTS', stream) == 1 then
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    known = known or info[2] == group
  end
end
if not known then
  return false
end
local used = redis.call('EXISTS', seat) == 1
for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  used = used or (c[2] ~= 'longshore-returned' and c[6] < present)
end
if used then
  return redis.error_reply('INUSE')
end
finish_all(stream, group)
redis.call('DEL', due, kept)
redis.call('XGROUP', 'SETID', stream, group, id)
begin_era(era, remember)
for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  if info[2] == group then
    return info[8]
  end
end

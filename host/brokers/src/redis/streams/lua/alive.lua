-- Makes a message a retry of one group that is due now, which no other group sees.
local function make_alive(stream, due, kept, group, redrives, fields)
  local last
  if redis.call('EXISTS', stream) == 1 then
    for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
      if info[2] == group then
        last = info[8]
      end
    end
  end
  if not last then
    redis.call('XGROUP', 'CREATE', stream, group, '$', 'MKSTREAM')
    last = '0-0'
  end
  -- A place that no entry has, behind which the group has passed: numbers of that size are for redriven messages alone.
  local n = redis.call('HINCRBY', kept, 'n', 1)
  local millis = math.max(0, tonumber(string.match(last, '^%d+')) - 1)
  local place = text(millis) .. '-' .. text(524288 + n % 524288)
  local id = 'redriven-' .. text(n)
  redis.call('HSET', kept, 'm:' .. id, cmsgpack.pack(fields))
  write_facts(kept, id, { place, 1, 0, 0, redrives, 0, '-' })
  redis.call('ZADD', due, text(clock()), id)
end

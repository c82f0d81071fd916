-- Takes off what may go. KEYS: stream. ARGV: most entries and how many more are borne, age in milliseconds, whether what every group has
-- finished goes; empty for what is not asked.
local stream = KEYS[1]
local most, slack, age, finished = take(), take(), take(), take()
if redis.call('TYPE', stream).ok ~= 'stream' then
  return 0
end
local before = redis.call('XLEN', stream)
-- The first entry that some group still needs; nothing where there is no group.
local slowest
for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local need = info[8]
  local pending = redis.call('XPENDING', stream, info[2])
  if pending[1] > 0 then
    need = pending[2]
  else
    -- What was delivered last is finished: the one behind it is needed.
    local next = redis.call('XRANGE', stream, '(' .. need, '+', 'COUNT', 1)[1]
    need = next and next[1] or (text(parts(need) + 1) .. '-0')
  end
  if not slowest or is_below(need, slowest) then
    slowest = need
  end
end
if age ~= '' then
  redis.call('XTRIM', stream, 'MINID', text(math.max(0, clock() - tonumber(age))) .. '-0')
end
if finished == '1' and slowest then
  redis.call('XTRIM', stream, 'MINID', slowest)
end
if most ~= '' then
  local excess = redis.call('XLEN', stream) - tonumber(most)
  if excess > tonumber(slack) then
    -- In steps: a script holds everybody else up.
    local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', math.min(excess, 1000) + 1)
    local keep = first[#first][1]
    if slowest and is_below(slowest, keep) then
      keep = slowest
    end
    redis.call('XTRIM', stream, 'MINID', keep)
  end
end
return before - redis.call('XLEN', stream)

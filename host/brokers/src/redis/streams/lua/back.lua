-- How many entries are not there that were, when the stream had given `last` and `added` entries: a server went back that took over from one
-- that had more. Trimming takes the oldest, so an entry that is gone while older ones are there was never here.
local MANY = 10000
local function gone_back(stream, last, added)
  local info = fields_of(redis.call('XINFO', 'STREAM', stream))
  if info['last-generated-id'] == '0-0' then
    return 0 -- it was removed and made anew
  end
  if is_below(info['last-generated-id'], last) then
    return math.max(1, added - info['entries-added'])
  end
  local was_trimmed = info['length'] == 0 or is_below(last, info['recorded-first-entry-id'])
  if was_trimmed or info['max-deleted-entry-id'] ~= '0-0' or #redis.call('XRANGE', stream, last, last) > 0 then
    return 0
  end
  local since = #redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', MANY)
  return math.max(1, added - info['entries-added'] + since)
end

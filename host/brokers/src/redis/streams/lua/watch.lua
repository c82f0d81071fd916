-- What went from a stream before a group read it. The server counts what was ever added, what is there, and what a group has read; that makes
-- the number exact while the group has read all that is there, or nothing of it, and a lower bound between. Entries that somebody deleted one
-- by one (XDEL) spoil the counts: nothing is told then.
-- What is missing since the group began.
local function missing(info, group, read)
  if not read or info['max-deleted-entry-id'] ~= '0-0' then
    return 0
  end
  local here = group['last-delivered-id'] == info['last-generated-id'] and 0 or info['length']
  if here > 0 and not is_below(group['last-delivered-id'], info['recorded-first-entry-id']) then
    -- In the middle: what stands before the first entry was read or is missing.
    return math.max(0, info['entries-added'] - info['length'] - read)
  end
  return info['entries-added'] - here - read
end
-- How many went since this was asked last, by whomever of the group; then the last id that the stream gave, and how many it ever had.
local function gone_unread(stream, group, kept)
  if redis.call('EXISTS', stream) == 0 then
    return 0, '', 0
  end
  local info, one, gone = fields_of(redis.call('XINFO', 'STREAM', stream)), group_of(stream, group), 0
  if one then
    local now = missing(info, one, entries_read(stream, kept, info, one))
    local told = tonumber(redis.call('HGET', kept, 'lost') or 0)
    if now > told then
      redis.call('HSET', kept, 'lost', text(now))
      gone = now - told
    end
  end
  return gone, info['last-generated-id'], info['entries-added']
end

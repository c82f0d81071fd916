-- How many entries a group has read. The server neither logs nor replicates that count as it grows (XREADGROUP is passed on as XCLAIM, which has
-- none): after a restart from the append-only file, or on a replica that took over, it is what it was when it was last set. So it is set at each
-- look, and kept with the place that it is of. A group that is elsewhere by now with the same count has lost it.
-- How many entries a stream gave up to an id, where its ends tell: of an id in the middle nobody knows.
local function given(info, id)
  if info['length'] == 0 or not is_below(id, info['last-generated-id']) then
    return info['entries-added']
  end
  return is_below(id, info['recorded-first-entry-id']) and info['entries-added'] - info['length']
end
-- The count of a group, set anew where it was lost; false where it is not known. What went before that is taken for read: a loss is told for
-- certain or not at all.
local function entries_read(stream, kept, info, group)
  local read, at = group['entries-read'], group['last-delivered-id']
  local was_at = redis.call('HGET', kept, 'at')
  if was_at == at then
    return read
  end
  if not was_at or redis.call('HGET', kept, 'read') == (read and text(read) or '') then
    read = given(info, at)
    redis.call('HDEL', kept, 'lost')
  end
  if read then
    redis.call('XGROUP', 'SETID', stream, group['name'], at, 'ENTRIESREAD', text(read))
  else
    redis.call('XGROUP', 'SETID', stream, group['name'], at)
  end
  redis.call('HSET', kept, 'read', read and text(read) or '', 'at', at)
  return read
end

-- Claims keys of a dedup inbox, in that order, for a lease. KEYS: stream. ARGV: what the keys begin with, lease, then key and claimant of each.
-- Answers a digit for each: 1 it is the claimant's, 2 such a message was done, 3 another delivery has it.
local start, lease = take(), take()
local answers = {}
while at < #ARGV do
  local key, claimant = start .. take(), take()
  local held = redis.call('GET', key)
  if not held then
    redis.call('SET', key, claimant, 'PX', lease)
    answers[#answers + 1] = '1'
  elseif held == DONE then
    answers[#answers + 1] = '2'
  else
    answers[#answers + 1] = '3'
  end
end
return table.concat(answers)

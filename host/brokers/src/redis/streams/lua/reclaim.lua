-- Extends claims of a dedup inbox by a lease. KEYS: stream. ARGV: what the keys begin with, lease, then key and claimant of each. Answers a digit
-- for each: 1 it is the claimant's still, 0 it is not.
local start, lease = take(), take()
local answers = {}
while at < #ARGV do
  local key, claimant = start .. take(), take()
  local ours = redis.call('GET', key) == claimant
  if ours then
    redis.call('PEXPIRE', key, lease)
  end
  answers[#answers + 1] = ours and '1' or '0'
end
return table.concat(answers)

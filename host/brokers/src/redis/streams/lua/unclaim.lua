-- Gives back claims. KEYS: stream. ARGV: what the keys begin with, then key and claimant of each.
local start = take()
while at < #ARGV do
  give_back(start .. take(), take())
end

-- Which of some commands the user may not run; none of them is run. ARGV: for each the number of its words, and the words. Answers places.
local denied, at, place = {}, 1, 1
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  if not redis.acl_check_cmd(unpack(ARGV, at + 1, last)) then
    denied[#denied + 1] = place
  end
  at, place = last + 1, place + 1
end
return denied

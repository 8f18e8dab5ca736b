-- Uses of points for an order of their own, by random members.
-- Arguments: the prefix of the members' ids, how many there are, the mean pause between a connection's requests
-- in milliseconds (0: none), a name that makes this run's keys and orders its own, and the points of a use.
local prefix, members, pause, run, amount
local count = 0
local text = "POST /v1/points/use HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Member-Id: %s-%d\r\nX-Member-Role: member\r\n"
  .. "Idempotency-Key: %s-%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"

function init(args)
  prefix, members, pause, run = args[1], tonumber(args[2]), tonumber(args[3]), args[4]
  amount = args[5]
  math.randomseed(os.time())
  if pause > 0 then
    -- Exponential pauses: many connections together then send as independent callers do.
    function delay() return -math.log(1 - math.random()) * pause end
  end
end

function request()
  count = count + 1
  local body = string.format('{"order_id":"%s-%d","amount":%s}', run, count, amount)
  return string.format(text, prefix, math.random(members), run, count, #body, body)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"seconds":%f,"failed":%d,"p50":%f,"p99":%f}\n',
    summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end

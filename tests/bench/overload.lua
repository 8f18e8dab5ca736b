-- Uses of points as use.lua sends them, with the answers told apart: done (201), refused (503), and all others.
-- A request's id is the moment that it was sent, and comes back with its answer: only what was done is timed.
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long ns; } moment; int clock_gettime(int clock, moment *now);")
local moment = ffi.new("moment")
local prefix, members, pause, run, amount
local count = 0
local threads = {}
local text = "POST /v1/points/use HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Member-Id: %s-%d\r\nX-Member-Role: member\r\n"
  .. "X-Request-Id: %.0f\r\nIdempotency-Key: %s-%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"

-- Of each thread, for done(): how many ended how, and of the done how many took which half of a millisecond.
answered, refused, others, took = 0, 0, 0, {}

local function microseconds()
  ffi.C.clock_gettime(1, moment)
  return tonumber(moment.s) * 1e6 + tonumber(moment.ns) / 1e3
end

function setup(thread) table.insert(threads, thread) end

function init(args)
  prefix, members, pause, run, amount = args[1], tonumber(args[2]), tonumber(args[3]), args[4], args[5]
  math.randomseed(os.time())
  if pause > 0 then
    function delay() return -math.log(1 - math.random()) * pause end
  end
end

function request()
  count = count + 1
  local body = string.format('{"order_id":"%s-%d","amount":%s}', run, count, amount)
  return string.format(text, prefix, math.random(members), microseconds(), run, count, #body, body)
end

function response(status, headers)
  if status == 201 then
    answered = answered + 1
    local sent = tonumber(headers["x-request-id"])
    local half = math.floor((microseconds() - sent) / 500)
    took[half] = (took[half] or 0) + 1
  elseif status == 503 then
    refused = refused + 1
  else
    others = others + 1
  end
end

function done(summary)
  local all, ended, no, odd = {}, 0, 0, 0
  for _, thread in ipairs(threads) do
    ended, no, odd = ended + thread:get("answered"), no + thread:get("refused"), odd + thread:get("others")
    for half, number in pairs(thread:get("took")) do all[half] = (all[half] or 0) + number end
  end
  local halves = {}
  for half in pairs(all) do table.insert(halves, half) end
  table.sort(halves)
  local function percentile(part)
    local passed = 0
    for _, half in ipairs(halves) do
      passed = passed + all[half]
      if passed >= part * ended then return (half + 1) / 2 end
    end
    return 0
  end
  local errors = summary.errors
  io.write(string.format('{"done":%d,"refused":%d,"lost":%d,"seconds":%f,"p50":%f,"p99":%f}\n',
    ended, no, odd + errors.connect + errors.read + errors.write + errors.timeout, summary.duration / 1e6,
    percentile(0.5), percentile(0.99)))
end

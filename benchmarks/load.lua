-- Every call is unique: its number, code, text and IP address occur once in a run of the function. So neither
-- idempotency nor a limit per number, block of numbers or address ever responds instead of Mitto.
-- Every call is signed by Standard Webhooks, with the libcrypto that wrk uses for TLS.
-- A call to /hooks/supabase is Supabase's: a code, for which a template has the words. All others are Auth0's payload with a text.
-- Usage: wrk -s load.lua URL -- FIRST KEY [MOST], with the signing key in hexadecimal digits; after MOST responses it starts no more calls.

local ffi = require("ffi")
ffi.cdef[[
const void *EVP_sha256(void);
unsigned char *HMAC(const void *md, const void *key, int key_length, const char *data, size_t length, unsigned char *out, void *out_length);
int EVP_EncodeBlock(char *out, const unsigned char *data, int length);
]]

local number, key, most, answers = 0, "", 0, 0
local digest, encoded = ffi.new("unsigned char[32]"), ffi.new("char[48]")

-- The digits that change fastest are in the middle of the number, not at its end.
local recipients = {
  function(n) return string.format("+417%d%03d%04d", 5 + math.floor(n / 1000) % 5, n % 1000, math.floor(n / 5000) % 10000) end,
  function(n) return string.format("+49151%04d%04d", n % 10000, math.floor(n / 10000) % 10000) end,
  function(n) return string.format("+447%03d%02d%04d", 400 + n % 50, math.floor(n / 50) % 100, math.floor(n / 5000) % 10000) end,
  function(n) return string.format("+1%d%03d%04d", ({212, 310, 415, 617, 713})[math.floor(n / 800) % 5 + 1], 200 + n % 800, math.floor(n / 4000) % 10000) end,
}

function init(arguments)
  number = tonumber(arguments[1])
  wrk.headers["Content-Type"] = "application/json"
  key = arguments[2]:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)
  most = tonumber(arguments[3] or "0")
  if most > 0 then
    function response()
      answers = answers + 1
      if answers >= most then wrk.thread:stop() end
    end
  end
end

local function sign(body)
  local id, now = "msg_" .. number, tostring(os.time())
  local signed = id .. "." .. now .. "." .. body
  ffi.C.HMAC(ffi.C.EVP_sha256(), key, #key, signed, #signed, digest, nil)
  wrk.headers["webhook-id"], wrk.headers["webhook-timestamp"] = id, now
  wrk.headers["webhook-signature"] = "v1," .. ffi.string(encoded, ffi.C.EVP_EncodeBlock(encoded, digest, 32))
end

local function auth0(recipient, code, address)
  return '{"recipient":"' .. recipient .. '","text":"Your verification code is: ' .. code .. '","context":{"factor_type":"first",'
    .. '"message_type":"sms","action":"second-factor-authentication","language":"en","code":"' .. code .. '","ip":"' .. address
    .. '","user_agent":"Mozilla/5.0","client":{"client_id":"1235","name":"Test Application","client_metadata":{}},'
    .. '"user":{"user_id":"auth0|' .. number .. '","name":"Billie Magnusson","email":"billie@email.com"}}}'
end

local function supabase(recipient, code, address)
  local phone, id = recipient:sub(2), string.format("7f6d9a52-0000-4000-8000-%012d", number)
  return '{"metadata":{"uuid":"' .. id .. '","time":"2026-01-01T00:00:00.000Z","name":"send-sms","ip_address":"' .. address .. '"},"user":{"id":"'
    .. id .. '","aud":"authenticated","role":"authenticated","email":"","phone":"' .. phone .. '","app_metadata":{"provider":"phone",'
    .. '"providers":["phone"]},"user_metadata":{"locale":"en"},"identities":null,"created_at":"2026-01-01T00:00:00.000Z",'
    .. '"updated_at":"2026-01-01T00:00:00.000Z","is_anonymous":false},"sms":{"otp":"' .. code .. '","phone":"' .. phone .. '"}}'
end

function request()
  number = number + 1
  local recipient = recipients[number % 4 + 1](math.floor(number / 4))
  local code = string.format("%06d", number * 7919 % 1000000)
  local address = string.format("10.%d.%d.%d", math.floor(number / 65536) % 256, math.floor(number / 256) % 256, number % 256)
  local body = (wrk.path == "/hooks/supabase" and supabase or auth0)(recipient, code, address)
  sign(body)
  return wrk.format("POST", nil, nil, body)
end

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    '\nRESULT {"requests":%d,"microseconds":%d,"socket_errors":%d,"status_errors":%d,"p50_us":%d,"p99_us":%d,"max_us":%d}',
    summary.requests, summary.duration, errors.connect + errors.read + errors.write + errors.timeout, errors.status,
    latency:percentile(50), latency:percentile(99), latency.max
  ))
end

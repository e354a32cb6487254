-- Accounts come into being at their first login, by a service on a Unix socket (account_service.py).
local unix = require "socket.unix"
local connection = nil

local function ask(question)
  if connection == nil then
    connection = unix.stream and unix.stream() or unix()
    assert(connection:connect("/run/bench-accounts"))
  end
  connection:send(question .. "\n")
  return connection:receive("*l")
end

function auth_password_verify(request, password)
  local answer = ask(request.user .. "\t" .. password)
  if answer == "OK" then
    return dovecot.auth.PASSDB_RESULT_OK, {}
  end
  return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH, {}
end

function auth_passdb_lookup(request)
  return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, {}
end

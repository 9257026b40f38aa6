// The text as Ory renders it, and the code beside it where the kind of message has one.
function(ctx)
  local data = if 'template_data' in ctx then ctx.template_data else {};
  local names = ['login_code', 'registration_code', 'verification_code', 'recovery_code'];
  local codes = [data[name] for name in names if name in data && std.isString(data[name]) && data[name] != ''];
  {
    recipient: ctx.recipient,
    text: ctx.body,
    [if std.length(codes) > 0 then 'code']: codes[0],
  }

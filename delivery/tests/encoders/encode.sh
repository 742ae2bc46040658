# What bash, openssl, od and jq write of each value: values come with a NUL behind each, forms go as "NUMBER NAME FORM" with a NUL
# behind each.
number=0
say() { printf '%s %s %s\0' "$number" "$1" "$2"; }
while IFS= read -r -d '' value; do
  printf -v quoted %q "$value"
  say %q "$quoted"
  printf -v quoted %q "pw=$value"
  say %q-behind-pw "${quoted#pw=}"
  say @Q "${value@Q}"
  declared=$(declare -p value)
  say declare "${declared#declare -- value=}"
  traced=$( { set -x; : "$value"; } 2>&1)
  say set-x "${traced#*: }"
  say openssl-base64 "$(printf %s "$value" | openssl base64)"
  say openssl-base64-A "$(printf %s "$value" | openssl base64 -A)"
  say od "$(printf %s "$value" | od -An -v -tx1)"
  printf %s "$value" | jq -Rsj --arg number "$number" '
    ["json", @json], ["uri", @uri], ["html", @html], ["sh", @sh], ["base64", @base64], ["csv", ([.] | @csv)]
    | "\($number) jq-\(.[0]) \(.[1])\u0000"'
  number=$((number + 1))
done

#!/bin/sh
# Tells how a contact is, now and whenever that changes, as lines of JSON:
#
#	presence.sh ann@example.org | jq -r --unbuffered '.presence[].line'
#
# The socket stands in the home. Where its path would be too long for one, and on
# Windows, api.json in the home names a port and a token instead.
home=${EARSHOT_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/earshot}
curl -sfN -G --unix-socket "$home/api.sock" -H 'Accept: text/event-stream' \
	--data-urlencode "email=$1" http://earshot/v1/presence | sed -un 's/^data: //p'

// Package api lets the faces of one running node talk to it: HTTP on a socket
// that only the same user of the same machine can reach. It does not know how a
// node works (Backend says what it needs of one), who its callers are, or how
// anything is shown.
//
// # How to reach it
//
// The file api.json in the home (an Endpoint; readable by its owner only) says
// where: a Unix socket beside it, or, where the path is too long for one or the
// platform has none, a port of the loopback interface with a token that every
// request carries as "Authorization: Bearer TOKEN". Without that file, or when
// nobody answers there, no node runs on that home.
//
// # Routes
//
// Bodies and replies are JSON; a POST says so in its Content-Type. {room} is the
// name of a room, with or without its # (%23 in a path), or its id. Times are RFC
// 3339 in UTC, ids as in package chat.
//
//	GET    /v1/me                       who this node is: chat.Me
//	GET    /v1/people                   {"people": [chat.Person]}
//	GET    /v1/rooms                    {"rooms": [chat.Room]}
//	POST   /v1/rooms                    {"name": "#x"}: joins or makes it; chat.Room
//	DELETE /v1/rooms/{room}             leaves it
//	GET    /v1/rooms/{room}/messages    ?limit=&before=&after=: {"messages": [chat.Message]}
//	POST   /v1/rooms/{room}/messages    {"text", "client_id"}: chat.Message, once it is stored
//	POST   /v1/rooms/{room}/typing      {"typing": true}
//	POST   /v1/rooms/{room}/read        {"up_to": id}
//	POST   /v1/backup                   {"passphrase"}: the backup's bytes; cut off where it fails
//	GET    /v1/events                   ?after=&run=: events as they happen, see below
//	GET    /v1/version                  Version
//	POST   /v1/stop                     stops the node, if it is a daemon
//
// Messages come oldest first: the newest limit (50, at most 500) of the room, those
// just before the message before, or those just after the message after. Two
// requests to send with the same client_id send one message, and both are answered
// with it: a caller that does not know whether it was heard asks again.
//
// What has nothing to answer answers 204. What fails answers with a fitting status
// and {"error": {"code", "text", "hint"}}, a chat.Error.
//
// # Events
//
// GET /v1/events answers with server-sent events whose data is what
// chat.MarshalEvent wrote; those that are facts carry their cursor as id. First
// comes a ReadyEvent, then every person as weather, then all facts after the cursor
// given by after (or by the header Last-Event-ID), or from now on without one, and
// the weather from now on. With run (that of an earlier ReadyEvent) or
// Last-Event-ID the stream continues another one: a GapEvent follows the ReadyEvent,
// because weather was missed meanwhile. A comment every 15 s shows that the stream
// is alive.
//
// # Whom it distrusts
//
// Web pages: Host must be a name of this machine, an Origin must be the same, and
// there are no CORS headers. Other users: the socket's file mode, and the user at
// its other end where the system tells cheaply (Linux, macOS); the token on
// loopback. Callers in general: headers, bodies, times and the number of event
// streams are bounded.
//
// # Goroutines
//
// The caller of Serve owns the accepting one; net/http makes one per connection,
// and Close waits up to a second for them.
package api

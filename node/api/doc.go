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
// Bodies and replies are JSON; a POST, PUT or PATCH says so in its Content-Type, with
// or without a body. What is carried is application/octet-stream. {room} is
// what a person calls a room, with or without its # (%23 in a path), or the contact
// of a direct chat, or an id: see RoomBackend.FindRoom. {who} is an id or a contact's
// name: see PeopleBackend.FindPerson; so are "who" and "claimant" in bodies. Times
// are RFC 3339 in UTC, ids as in package chat.
//
//	GET    /v1/me                       who this node is: chat.Me
//	GET    /v1/people                   {"people": [chat.Person]}
//	GET    /v1/people/{who}             chat.Person
//	POST   /v1/people/{who}/add         {"note"}: asks them to be a contact; chat.Contact
//	POST   /v1/people/{who}/accept      takes their request
//	POST   /v1/people/{who}/decline     drops it
//	POST   /v1/people/{who}/block       ends every relation; they see somebody who is away
//	POST   /v1/people/{who}/unblock     makes them a stranger
//	POST   /v1/people/{who}/forget      makes a contact a stranger
//	POST   /v1/people/{who}/decide      {"claimant", "same": true}: whether the two are one
//	GET    /v1/people/{who}/verify      their number and code, and how a comparison stands; chat.Verification
//	POST   /v1/people/{who}/verify      begins or joins a live comparison; chat.Verification
//	POST   /v1/people/{who}/verify/say  {"same": true}
//	POST   /v1/people/{who}/verify/cancel  ends the comparison
//	POST   /v1/people/{who}/verified    {"evidence"}: their 60 digits, or the text of their code
//	POST   /v1/people/{who}/chat        the direct chat with a contact: chat.Room
//	PUT    /v1/people/{who}/groups      {"groups"}: a contact is in these and no others; chat.Contact
//	PUT    /v1/people/{who}/team        {"team": true}: whether a mention by a contact breaks through do not disturb; chat.Contact
//	POST   /v1/people/{who}/watch       has one event "free" come when a contact is free, or at once
//	DELETE /v1/people/{who}/watch       calls that off
//	GET    /v1/contacts                 {"contacts": [chat.Contact]}
//	GET    /v1/privacy                  chat.Privacy
//	PUT    /v1/privacy                  chat.Privacy: all of it; answers with it
//	GET    /v1/presence                 ?person= or ?email=: {"presence": [Presence]}, or a stream of it, see below
//	GET    /v1/status                   what this person shows, and why: chat.OwnStatus
//	PUT    /v1/status                   chat.StatusChange: chat.OwnStatus
//	POST   /v1/active                   says that somebody has just touched a face: who was away is back
//	GET    /v1/profile                  chat.OwnProfile
//	PUT    /v1/profile                  chat.OwnProfile: all of it; answers with it
//	GET    /v1/alerts                   chat.Alerts
//	PUT    /v1/alerts                   chat.Alerts: all but those of rooms; answers with all
//	GET    /v1/rooms                    {"rooms": [chat.Room]}
//	POST   /v1/rooms                    {"name": "#x"}: joins or makes it; with "private" and "history" a new private one; chat.Room
//	GET    /v1/rooms/{room}             chat.Room
//	DELETE /v1/rooms/{room}             leaves it
//	GET    /v1/rooms/{room}/messages    ?limit=&before=&after=: {"messages": [chat.Message]}
//	POST   /v1/rooms/{room}/messages    chat.Draft: chat.Message, once it is stored
//	POST   /v1/rooms/{room}/typing      {"typing": true}
//	POST   /v1/rooms/{room}/read        {"up_to": id}
//	PUT    /v1/rooms/{room}/view        says that it is on a screen: what is missing there comes first
//	GET    /v1/rooms/{room}/missing     {"missing": [chat.Missing]}
//	PUT    /v1/rooms/{room}/disappear   {"seconds"}: after which what is said from now on disappears; 0 for never
//	PUT    /v1/rooms/{room}/retention   {"seconds"}: how long anything in it is kept; 0 for ever
//	PUT    /v1/rooms/{room}/alerts      {"level"}: all, mentions, none, or "" for the usual; chat.Room
//	GET    /v1/rooms/{room}/members     {"members": [chat.Member]}
//	POST   /v1/rooms/{room}/invite      {"who", "role"}
//	POST   /v1/rooms/{room}/remove      {"who"}
//	POST   /v1/rooms/{room}/role        {"who", "role"}
//	POST   /v1/rooms/{room}/rename      {"name": "#y"}
//	POST   /v1/rooms/{room}/topic       {"topic"}
//	GET    /v1/messages/{id}            the whole story of one message: chat.MessageDetail
//	PATCH  /v1/messages/{id}            {"text"}: changes what a message of one's own says; chat.Message
//	DELETE /v1/messages/{id}            removes it for all: chat.Message
//	PUT    /v1/messages/{id}/reactions/{sign}  puts one emoji under it: chat.Message
//	DELETE /v1/messages/{id}/reactions/{sign}  takes it away: chat.Message
//	GET    /v1/invitations              {"invitations": [chat.Invitation]}
//	POST   /v1/invitations/{room}/accept   chat.Room
//	POST   /v1/invitations/{room}/decline  drops it
//	GET    /v1/devices                  {"devices": [chat.OwnDevice]}
//	POST   /v1/devices/add              a code for a new device: chat.Pairing
//	POST   /v1/devices/join             {"code", "label"}, on the new device: chat.Pairing
//	POST   /v1/devices/confirm          {"yes": true}
//	POST   /v1/devices/cancel           ends the pairing
//	POST   /v1/devices/{device}/revoke  ends a device of this person's for good
//	GET    /v1/keeper                   what this node holds for others: chat.Keeper
//	PUT    /v1/keeper                   {"on", "space"}: whether it shall, in how many bytes (0: the usual); chat.Keeper
//	POST   /v1/carry/out                sealed entries to carry elsewhere, as bytes; cut off where it fails
//	POST   /v1/carry/in                 takes up these bytes: {"carried": chat.Carried}, beside an error too
//	POST   /v1/backup                   {"passphrase"}: the backup's bytes; cut off where it fails
//	GET    /v1/events                   ?after=&run=: events as they happen, see below
//	GET    /v1/version                  Version
//	POST   /v1/stop                     stops the node, if it is a daemon
//
// Where {room} is an invitation, and for {device}, an id or at least its first 6
// characters does, or what it is called if nothing else is called so. A message's
// {id} may be cut to 6 characters too; {sign} is the emoji itself, escaped.
//
// Behind the bytes of /v1/carry/out comes the trailer Earshot-Carried, a chat.Carried.
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
// A message that is edited, removed or reacted to is told anew, as a message_changed
// fact; of one message only the latest is kept, and messages that are read again are
// as they are now. How far one's own have come stands in messages, not in events: a
// states event says when to ask again.
//
// # Presence for other programs
//
// GET /v1/presence tells how somebody is, for programs that show live names. person is
// as {who}; email finds only contacts who say that it is theirs, and only as far as
// they show it to this person: nobody else can claim an address, and several contacts
// with one are all told. Nobody is 404. With "Accept: text/event-stream" it answers with
// server-sent events whose data is the same object: how it is now, and then whenever
// that changes, with an empty list when nobody is meant any more. Comments show that the
// stream is alive, as they do with /v1/events.
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

package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"earshot/chat"
)

// Version is what GET /v1/version tells.
type Version struct {
	Version string `json:"version"` // of the program
	API     int    `json:"api"`     // of these routes
	Run     string `json:"run"`     // of the node, as in ReadyEvent
	PID     int    `json:"pid"`
}

// apiVersion stands in every path. It rises when a route changes its meaning.
const apiVersion = 1

// maxClientID bounds a client id, in bytes: a UUID or a hash fits.
const maxClientID = 128

// route is one line of the table in the package comment. serve returns what to
// answer, nil for nothing; a stream writes its own answer. A body is JSON, but for
// bytes.
type route struct {
	method, path string
	bytes        bool
	serve        func(*Server, *http.Request) (any, error)
	stream       func(*Server, http.ResponseWriter, *http.Request) error
}

var routes = []route{
	{method: "GET", path: "/v1/me", serve: (*Server).me},
	{method: "GET", path: "/v1/people", serve: (*Server).people},
	{method: "GET", path: "/v1/people/{who}", serve: (*Server).onePerson},
	{method: "POST", path: "/v1/people/{who}/add", serve: (*Server).addContact},
	{method: "POST", path: "/v1/people/{who}/accept", serve: toPerson(Backend.AcceptContact)},
	{method: "POST", path: "/v1/people/{who}/decline", serve: toPerson(Backend.DeclineContact)},
	{method: "POST", path: "/v1/people/{who}/block", serve: toPerson(Backend.BlockPerson)},
	{method: "POST", path: "/v1/people/{who}/unblock", serve: toPerson(Backend.UnblockPerson)},
	{method: "POST", path: "/v1/people/{who}/forget", serve: toPerson(Backend.ForgetContact)},
	{method: "POST", path: "/v1/people/{who}/decide", serve: (*Server).decideClaim},
	{method: "GET", path: "/v1/people/{who}/verify", serve: (*Server).verification},
	{method: "POST", path: "/v1/people/{who}/verify", serve: (*Server).startVerification},
	{method: "POST", path: "/v1/people/{who}/verify/say", serve: (*Server).sayVerification},
	{method: "POST", path: "/v1/people/{who}/verify/cancel", serve: toPerson(Backend.CancelVerification)},
	{method: "POST", path: "/v1/people/{who}/verified", serve: (*Server).markVerified},
	{method: "POST", path: "/v1/people/{who}/chat", serve: (*Server).directChat},
	{method: "PUT", path: "/v1/people/{who}/groups", serve: (*Server).setGroups},
	{method: "PUT", path: "/v1/people/{who}/team", serve: (*Server).setTeam},
	{method: "POST", path: "/v1/people/{who}/watch", serve: watchPerson(true)},
	{method: "DELETE", path: "/v1/people/{who}/watch", serve: watchPerson(false)},
	{method: "GET", path: "/v1/contacts", serve: (*Server).contacts},
	{method: "GET", path: "/v1/privacy", serve: (*Server).privacy},
	{method: "PUT", path: "/v1/privacy", serve: (*Server).setPrivacy},
	{method: "GET", path: "/v1/presence", stream: (*Server).presence},
	{method: "GET", path: "/v1/status", serve: (*Server).status},
	{method: "PUT", path: "/v1/status", serve: (*Server).setStatus},
	{method: "POST", path: "/v1/active", serve: (*Server).active},
	{method: "GET", path: "/v1/profile", serve: (*Server).profile},
	{method: "PUT", path: "/v1/profile", serve: (*Server).setProfile},
	{method: "GET", path: "/v1/alerts", serve: (*Server).alerts},
	{method: "PUT", path: "/v1/alerts", serve: (*Server).setAlerts},
	{method: "GET", path: "/v1/rooms", serve: (*Server).rooms},
	{method: "POST", path: "/v1/rooms", serve: (*Server).newRoom},
	{method: "GET", path: "/v1/rooms/{room}", serve: (*Server).oneRoom},
	{method: "DELETE", path: "/v1/rooms/{room}", serve: (*Server).leaveRoom},
	{method: "GET", path: "/v1/rooms/{room}/messages", serve: (*Server).messages},
	{method: "POST", path: "/v1/rooms/{room}/messages", serve: (*Server).send},
	{method: "POST", path: "/v1/rooms/{room}/typing", serve: (*Server).typing},
	{method: "POST", path: "/v1/rooms/{room}/read", serve: (*Server).read},
	{method: "PUT", path: "/v1/rooms/{room}/view", serve: (*Server).view},
	{method: "GET", path: "/v1/rooms/{room}/missing", serve: (*Server).missing},
	{method: "PUT", path: "/v1/rooms/{room}/disappear", serve: (*Server).setDisappear},
	{method: "PUT", path: "/v1/rooms/{room}/retention", serve: (*Server).setRetention},
	{method: "PUT", path: "/v1/rooms/{room}/alerts", serve: (*Server).setRoomAlerts},
	{method: "GET", path: "/v1/rooms/{room}/members", serve: (*Server).members},
	{method: "POST", path: "/v1/rooms/{room}/invite", serve: (*Server).invite},
	{method: "POST", path: "/v1/rooms/{room}/remove", serve: (*Server).remove},
	{method: "POST", path: "/v1/rooms/{room}/role", serve: (*Server).setRole},
	{method: "POST", path: "/v1/rooms/{room}/rename", serve: (*Server).renameRoom},
	{method: "POST", path: "/v1/rooms/{room}/topic", serve: (*Server).setTopic},
	{method: "GET", path: "/v1/messages/{id}", serve: inMessage((*Server).message)},
	{method: "PATCH", path: "/v1/messages/{id}", serve: inMessage((*Server).editMessage)},
	{method: "DELETE", path: "/v1/messages/{id}", serve: inMessage((*Server).deleteMessage)},
	{method: "PUT", path: "/v1/messages/{id}/reactions/{sign}", serve: inMessage(react(true))},
	{method: "DELETE", path: "/v1/messages/{id}/reactions/{sign}", serve: inMessage(react(false))},
	{method: "GET", path: "/v1/invitations", serve: (*Server).invitations},
	{method: "POST", path: "/v1/invitations/{room}/accept", serve: (*Server).acceptInvitation},
	{method: "POST", path: "/v1/invitations/{room}/decline", serve: (*Server).declineInvitation},
	{method: "GET", path: "/v1/devices", serve: (*Server).devices},
	{method: "POST", path: "/v1/devices/add", serve: (*Server).addDevice},
	{method: "POST", path: "/v1/devices/join", serve: (*Server).joinDevice},
	{method: "POST", path: "/v1/devices/confirm", serve: (*Server).confirmDevice},
	{method: "POST", path: "/v1/devices/cancel", serve: (*Server).cancelPairing},
	{method: "POST", path: "/v1/devices/{device}/revoke", serve: (*Server).revokeDevice},
	{method: "GET", path: "/v1/keeper", serve: (*Server).keeper},
	{method: "PUT", path: "/v1/keeper", serve: (*Server).setKeeper},
	{method: "POST", path: "/v1/carry/out", stream: (*Server).carryOut},
	{method: "POST", path: "/v1/carry/in", bytes: true, stream: (*Server).carryIn},
	{method: "POST", path: "/v1/backup", stream: (*Server).backup},
	{method: "GET", path: "/v1/events", stream: (*Server).events},
	{method: "GET", path: "/v1/version", serve: (*Server).version},
	{method: "POST", path: "/v1/stop", serve: (*Server).stopNode},
}

func (s *Server) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, rt := range routes {
		mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) {
			if err := rt.takes(w, r); err != nil {
				s.fail(w, r, err)
				return
			}
			if rt.stream != nil {
				if err := rt.stream(s, w, r); err != nil {
					s.fail(w, r, err)
				}
				return
			}
			answer, err := rt.serve(s, r)
			if err != nil {
				s.fail(w, r, err)
				return
			}
			s.answer(w, http.StatusOK, answer)
		})
	}
	mux.HandleFunc("/", s.noRoute)
	return mux
}

// takes refuses bodies of a form that the route does not take, and bounds the rest.
// No form of a web page can send either.
func (rt route) takes(w http.ResponseWriter, r *http.Request) error {
	media, name, most := "application/json", "JSON", int64(maxBody)
	if rt.bytes {
		media, name, most = "application/octet-stream", "bytes", maxCarry
	}
	r.Body = http.MaxBytesReader(w, r.Body, most)
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		is, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		if strings.TrimSpace(is) != media {
			return chat.Errorf(chat.CodeUsage, "The body must be %s. Set Content-Type: %s.", name, media)
		}
	}
	return nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'")
	if err := s.guard(r); err != nil {
		s.fail(w, r, err)
		return
	}
	if r.Method == http.MethodHead { // would match GET, and an event stream never end
		s.noRoute(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// noRoute says which of path and method is wrong.
func (s *Server) noRoute(w http.ResponseWriter, r *http.Request) {
	probe := r.Clone(r.Context())
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe.Method = method
		if _, pattern := s.mux.Handler(probe); pattern != "/" {
			w.Header().Add("Allow", method)
		}
	}
	err := chat.Errorf(chat.CodeNotFound, "The local API has no %.80q. Its routes stand in the documentation of node/api.", r.URL.Path)
	code := http.StatusNotFound
	if allow := w.Header().Values("Allow"); len(allow) > 0 {
		err = chat.Errorf(chat.CodeUsage, "%.80q is not called with %.10q. Use %s.", r.URL.Path, r.Method, allow[0])
		code = http.StatusMethodNotAllowed
	}
	s.answer(w, code, failure{err})
}

type failure struct {
	Error *chat.Error `json:"error"`
}

// fail answers with an error. One that is our defect goes to the log too.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := chat.AsError(err)
	code := status(e)
	if code == http.StatusInternalServerError && r.Context().Err() == nil {
		s.log.Error("local api request failed", "route", r.Pattern, "code", e.Code, "text", e.Text, "err", e.Err)
	}
	s.answer(w, code, failure{e})
}

func (s *Server) answer(w http.ResponseWriter, code int, v any) {
	if v == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		s.log.Error("local api could not encode an answer", "err", err)
		http.Error(w, `{"error":{"code":"internal","text":"The answer could not be encoded. Report this."}}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(code)
	_, _ = w.Write(append(b, '\n')) // a caller that has gone needs no answer
}

// decode reads a request's JSON into v. Unknown fields are of the future and pass.
func decode(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
	}
	var tooLong *http.MaxBytesError
	var e *chat.Error
	switch {
	case errors.As(err, &tooLong):
		return chat.Wrap(chat.CodeTooLong, err, "The request is longer than 128 KiB.", "Send less at once.")
	case errors.As(err, &e): // an id said what is wrong with it
		return e
	}
	return chat.Wrap(chat.CodeUsage, err, "The body is not one JSON object of the form this route takes.", "See the documentation of node/api.")
}

// room returns the room that the path names.
func (s *Server) room(r *http.Request) (chat.Room, error) {
	return s.cfg.Backend.FindRoom(r.Context(), r.PathValue("room"))
}

func (s *Server) me(r *http.Request) (any, error) { return s.cfg.Backend.Me(r.Context()) }

// People, Rooms and Messages are the answers that are lists: objects, so that
// something can be added beside the list.
type (
	People struct {
		People []chat.Person `json:"people"`
	}
	Rooms struct {
		Rooms []chat.Room `json:"rooms"`
	}
	Messages struct {
		Messages []chat.Message `json:"messages"`
	}
)

func (s *Server) people(r *http.Request) (any, error) {
	people, err := s.cfg.Backend.People(r.Context())
	return People{list(people)}, err
}

func (s *Server) rooms(r *http.Request) (any, error) {
	rooms, err := s.cfg.Backend.Rooms(r.Context())
	return Rooms{list(rooms)}, err
}

// list makes an empty list [] and not null in JSON.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// NewRoom, Typing and Read are the bodies of the POST routes.
type (
	NewRoom struct {
		Name string `json:"name"`
		// Private asks for a new room that only those who are invited can read.
		Private bool `json:"private,omitempty"`
		// History is what newcomers to a private room can read, "" for the usual.
		History string `json:"history,omitempty"`
	}
	Typing struct {
		Typing bool `json:"typing"`
	}
	Read struct {
		UpTo chat.EntryID `json:"up_to"`
	}
)

func (s *Server) newRoom(r *http.Request) (any, error) {
	var body NewRoom
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	name, err := chat.CanonicalRoomName(body.Name)
	if err != nil {
		return nil, err
	}
	if !body.Private {
		return s.cfg.Backend.JoinRoom(r.Context(), name)
	}
	switch body.History {
	case "", chat.HistoryNone, chat.HistorySinceInvited, chat.HistoryAll:
		return s.cfg.Backend.CreateRoom(r.Context(), name, body.History)
	}
	return nil, chat.Errorf(chat.CodeUsage, "%.40q is no history for newcomers. Say %s, %s or %s.", body.History, chat.HistoryNone, chat.HistorySinceInvited, chat.HistoryAll)
}

func (s *Server) oneRoom(r *http.Request) (any, error) { return s.room(r) }

func (s *Server) leaveRoom(r *http.Request) (any, error) {
	room, err := s.room(r)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.LeaveRoom(r.Context(), room.RoomID)
}

func (s *Server) messages(r *http.Request) (any, error) {
	page, err := parsePage(r)
	if err != nil {
		return nil, err
	}
	room, err := s.room(r)
	if err != nil {
		return nil, err
	}
	messages, err := s.cfg.Backend.Messages(r.Context(), room.RoomID, page)
	return Messages{list(messages)}, err
}

func parsePage(r *http.Request) (Page, error) {
	q := r.URL.Query()
	page := Page{Limit: DefaultPage}
	var err error
	if v := q.Get("limit"); v != "" {
		if page.Limit, err = strconv.Atoi(v); err != nil || page.Limit < 1 || page.Limit > MaxPage {
			return page, chat.Errorf(chat.CodeUsage, "limit=%.20q is not a number from 1 to %d. Ask for more in several pages.", v, MaxPage)
		}
	}
	if v := q.Get("before"); v != "" {
		if page.Before, err = chat.ParseEntryID(v); err != nil {
			return page, err
		}
	}
	if v := q.Get("after"); v != "" {
		if page.After, err = chat.ParseEntryID(v); err != nil {
			return page, err
		}
	}
	if !page.Before.IsZero() && !page.After.IsZero() {
		return page, chat.Errorf(chat.CodeUsage, "A page is before one message or after one. Give only one of the two.")
	}
	return page, nil
}

func (s *Server) send(r *http.Request) (any, error) {
	var body chat.Draft
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if len(body.ClientID) > maxClientID {
		return nil, chat.Errorf(chat.CodeTooLong, "client_id has %d bytes and may have %d. Use a shorter one.", len(body.ClientID), maxClientID)
	}
	// A whole id needs no looking up, which costs as much as all else here: no room's
	// name is as long as one.
	id, err := chat.ParseRoomID(r.PathValue("room"))
	if err != nil {
		room, err := s.room(r)
		if err != nil {
			return nil, err
		}
		id = room.RoomID
	}
	return s.cfg.Backend.Send(r.Context(), id, body)
}

func (s *Server) typing(r *http.Request) (any, error) {
	var body Typing
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	room, err := s.room(r)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.SetTyping(r.Context(), room.RoomID, body.Typing)
}

func (s *Server) read(r *http.Request) (any, error) {
	var body Read
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if body.UpTo.IsZero() {
		return nil, chat.Errorf(chat.CodeUsage, "Up to which message? Give its id as up_to.")
	}
	room, err := s.room(r)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.MarkRead(r.Context(), room.RoomID, body.UpTo)
}

func (s *Server) version(*http.Request) (any, error) {
	return Version{Version: s.cfg.Version, API: apiVersion, Run: s.cfg.Backend.Feed().Run(), PID: os.Getpid()}, nil
}

func (s *Server) stopNode(*http.Request) (any, error) {
	if s.cfg.Stop == nil {
		return nil, chat.Errorf(chat.CodeDenied, "This node belongs to the command that started it (process %d). End that command.", os.Getpid())
	}
	s.stopOnce.Do(s.cfg.Stop)
	return nil, nil
}

package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"earshot/chat"
)

// This file is the routes about single messages, and about what is held and carried
// for people who are away.

const (
	// maxSign bounds a sign in a path, in bytes: the longest emoji of Unicode, a
	// family of four with skin tones, takes 41.
	maxSign = 64
	// maxKept bounds how long messages may be set to last, in seconds: a hundred
	// years, so that no arithmetic with times can overflow.
	maxKept = 100 * 365 * 24 * 3600
	// maxCarry bounds what is carried in at once, in bytes: twice the usual space of
	// a keeper.
	maxCarry = 2 << 30

	// carriedTrailer is the trailer behind the bytes of a carrying, in which its
	// chat.Carried stands as JSON.
	carriedTrailer = "Earshot-Carried"
)

// MissingEntries is an answer, Edit and Lasting are bodies.
type (
	MissingEntries struct {
		Missing []chat.Missing `json:"missing"`
	}
	Edit struct {
		Text string `json:"text"`
	}
	// Lasting says how long messages last, in seconds; 0 for ever.
	Lasting struct {
		Seconds int64 `json:"seconds"`
	}
	// NewKeeper says what this node shall hold for its contacts.
	NewKeeper struct {
		On bool `json:"on"`
		// Space is in bytes, 0 for the usual.
		Space int64 `json:"space,omitempty"`
	}
)

// inMessage serves what is done with the one message that the path names.
func inMessage(do func(*Server, *http.Request, chat.EntryID) (any, error)) func(*Server, *http.Request) (any, error) {
	return func(s *Server, r *http.Request) (any, error) {
		id, err := s.cfg.Backend.FindMessage(r.Context(), r.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return do(s, r, id)
	}
}

func (s *Server) message(r *http.Request, id chat.EntryID) (any, error) {
	return s.cfg.Backend.Message(r.Context(), id)
}

func (s *Server) editMessage(r *http.Request, id chat.EntryID) (any, error) {
	var body Edit
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	return s.cfg.Backend.Edit(r.Context(), id, body.Text)
}

func (s *Server) deleteMessage(r *http.Request, id chat.EntryID) (any, error) {
	return s.cfg.Backend.Delete(r.Context(), id)
}

// react puts a sign under a message, or takes it away.
func react(on bool) func(*Server, *http.Request, chat.EntryID) (any, error) {
	return func(s *Server, r *http.Request, id chat.EntryID) (any, error) {
		sign := r.PathValue("sign")
		if len(sign) > maxSign {
			return nil, chat.Errorf(chat.CodeTooLong, "A reaction is one emoji, and that is longer than any. Give one such as 👍.")
		}
		return s.cfg.Backend.React(r.Context(), id, sign, on)
	}
}

func (s *Server) missing(r *http.Request) (any, error) {
	room, err := s.room(r)
	if err != nil {
		return nil, err
	}
	missing, err := s.cfg.Backend.Missing(r.Context(), room.RoomID)
	return MissingEntries{list(missing)}, err
}

func (s *Server) view(r *http.Request) (any, error) {
	room, err := s.room(r)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.View(r.Context(), room.RoomID)
}

// lasting returns the room of the path, and how long its messages shall last.
func (s *Server) lasting(r *http.Request) (room chat.Room, d time.Duration, err error) {
	var body Lasting
	if err = decode(r, &body); err != nil {
		return room, 0, err
	}
	if body.Seconds < 0 || body.Seconds > maxKept {
		return room, 0, chat.Errorf(chat.CodeUsage, "%d is not how many seconds messages can last. Give 1 to %d, or 0 for ever.", body.Seconds, int64(maxKept))
	}
	room, err = s.room(r)
	return room, time.Duration(body.Seconds) * time.Second, err
}

func (s *Server) setDisappear(r *http.Request) (any, error) {
	room, d, err := s.lasting(r)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.SetDisappear(r.Context(), room.RoomID, d)
}

func (s *Server) setRetention(r *http.Request) (any, error) {
	room, d, err := s.lasting(r)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.SetRetention(r.Context(), room.RoomID, d)
}

func (s *Server) keeper(r *http.Request) (any, error) { return s.cfg.Backend.Keeper(r.Context()) }

func (s *Server) setKeeper(r *http.Request) (any, error) {
	var body NewKeeper
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if body.Space < 0 {
		return nil, chat.Errorf(chat.CodeUsage, "Less than no space can't be given. Give a number of bytes, or 0 for the usual.")
	}
	return s.cfg.Backend.SetKeeper(r.Context(), body.On, body.Space)
}

// carryOut answers with sealed entries, and tells in a trailer what they are. It
// fails as backup does.
func (s *Server) carryOut(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Trailer", carriedTrailer)
	out := &patientWriter{w: w, control: http.NewResponseController(w)}
	carried, err := s.cfg.Backend.CarryOut(r.Context(), out)
	var told []byte
	if err == nil {
		told, err = json.Marshal(carried)
	}
	if err == nil && !out.begun {
		_, err = out.Write(nil)
	}
	switch {
	case err == nil:
		w.Header().Set(carriedTrailer, string(told))
		return nil
	case !out.begun:
		w.Header().Del("Trailer")
		return err
	}
	s.log.Warn("carrying out was cut off", "err", err)
	panic(http.ErrAbortHandler)
}

// CarriedIn is the answer to what was carried in. It stands beside an error too:
// what was whole before the damage has been taken.
type CarriedIn struct {
	Error   *chat.Error  `json:"error,omitempty"`
	Carried chat.Carried `json:"carried"`
}

// carryIn takes up the bytes of the body.
func (s *Server) carryIn(w http.ResponseWriter, r *http.Request) error {
	in := &patientReader{r: r.Body, control: http.NewResponseController(w)}
	carried, err := s.cfg.Backend.CarryIn(r.Context(), in)
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		err = chat.Wrap(chat.CodeTooLong, err, "That is more than 2 GiB, the most that is carried in at once.", "Carry in one of the files that `earshot carry out` wrote.")
	}
	if err == nil {
		s.answer(w, http.StatusOK, CarriedIn{Carried: carried})
		return nil
	}
	e := chat.AsError(err)
	s.answer(w, status(e), CarriedIn{Error: e, Carried: carried})
	return nil
}

// patientReader gives every read the time that a whole body has otherwise.
type patientReader struct {
	r       io.Reader
	control *http.ResponseController
}

func (p *patientReader) Read(b []byte) (int, error) {
	if err := p.control.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}

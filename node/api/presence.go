package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/phrase"
	"earshot/node/feed"
)

// This file is the routes about who is free, and about alerts.

// Presence is how somebody is, as a program that shows live names wants it.
type Presence struct {
	Person   chat.PersonID `json:"person"`
	Name     string        `json:"name"`
	Relation chat.Relation `json:"relation,omitempty"` // empty for this person
	Presence chat.Presence `json:"presence"`
	Status   chat.Status   `json:"status,omitzero"`
	Suspect  bool          `json:"suspect,omitempty"`
	LastSeen time.Time     `json:"last_seen,omitzero"`
	// Line is all of it in one short line, without control characters:
	// "● Ann available: lunch until 13:30".
	Line string `json:"line"`
	// Email is the address that a contact says is theirs; others have none.
	Email string `json:"email,omitempty"`
}

// PresenceOf returns how somebody is at a time, in whose zone times are told.
func PresenceOf(p chat.Person, now time.Time) Presence {
	out := Presence{
		Person: p.Person, Name: p.Name, Relation: p.Relation, Presence: p.Presence,
		Status: p.Status.At(now), Suspect: p.Suspect, LastSeen: p.LastSeen, Line: phrase.Line(p, now),
	}
	if p.Profile != nil && p.Relation.Known() {
		out.Email = p.Profile.Email
	}
	return out
}

// Presences is an answer; Groups, Team and AlertLevel are bodies.
type (
	Presences struct {
		Presence []Presence `json:"presence"`
	}
	Groups struct {
		Groups []string `json:"groups"`
	}
	Team struct {
		Team bool `json:"team"`
	}
	AlertLevel struct {
		Level string `json:"level"` // chat.AlertAll and its like; empty for the usual
	}
)

func (s *Server) status(r *http.Request) (any, error) { return s.cfg.Backend.Status(r.Context()) }

func (s *Server) setStatus(r *http.Request) (any, error) {
	var body chat.StatusChange
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	switch {
	case body.State != nil && !slices.Contains(chat.Availabilities, *body.State):
		return nil, chat.Errorf(chat.CodeUsage, "%.40q is nothing that a person can be. Say available, away, busy, meeting, dnd or offline.", *body.State)
	case body.State == nil && !body.Until.IsZero(), body.Text == nil && !body.TextUntil.IsZero():
		return nil, chat.Errorf(chat.CodeUsage, "A time needs what ends then. Give the state beside until, or the text beside text_until.")
	case body.Text != nil && len(*body.Text) > chat.MaxStatusText:
		return nil, chat.Errorf(chat.CodeTooLong, "A status text has room for %d bytes, and this has %d. Say it shorter.", chat.MaxStatusText, len(*body.Text))
	}
	return s.cfg.Backend.SetStatus(r.Context(), body)
}

func (s *Server) active(r *http.Request) (any, error) {
	return nil, s.cfg.Backend.Active(r.Context())
}

// watchPerson serves that somebody is watched, or no longer.
func watchPerson(on bool) func(*Server, *http.Request) (any, error) {
	return toPerson(func(b Backend, ctx context.Context, who chat.PersonID) error { return b.Watch(ctx, who, on) })
}

func (s *Server) profile(r *http.Request) (any, error) { return s.cfg.Backend.Profile(r.Context()) }

func (s *Server) setProfile(r *http.Request) (any, error) {
	var body chat.OwnProfile
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	for _, part := range []string{body.Title, body.Department, body.Email, body.Location, body.Phone} {
		if len(part) > chat.MaxProfilePart {
			return nil, chat.Errorf(chat.CodeTooLong, "A part of a profile has room for %d bytes, and this has %d. Say it shorter.", chat.MaxProfilePart, len(part))
		}
	}
	for _, who := range body.For {
		if err := checkAudience(who); err != nil {
			return nil, err
		}
	}
	return s.cfg.Backend.SetProfile(r.Context(), body)
}

// checkAudience refuses what is no chat.Audience. What a group may be called, the
// Backend says.
func checkAudience(who chat.Audience) error {
	groups, ok := strings.CutPrefix(who, chat.InGroups)
	if ok && groups != "" || slices.Contains([]string{chat.Everyone, chat.OnlyContacts, chat.Nobody}, who) {
		return nil
	}
	return chat.Errorf(chat.CodeUsage, "%.40q is nobody who could see that. Say %s, %s, %s or %sNAME,NAME.", who, chat.Everyone, chat.OnlyContacts, chat.Nobody, chat.InGroups)
}

func (s *Server) setGroups(r *http.Request) (any, error) {
	var body Groups
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	p, err := s.person(r)
	if err != nil {
		return nil, err
	}
	return s.cfg.Backend.SetGroups(r.Context(), p.Person, body.Groups)
}

func (s *Server) setTeam(r *http.Request) (any, error) {
	var body Team
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	p, err := s.person(r)
	if err != nil {
		return nil, err
	}
	return s.cfg.Backend.SetTeam(r.Context(), p.Person, body.Team)
}

func (s *Server) alerts(r *http.Request) (any, error) { return s.cfg.Backend.Alerts(r.Context()) }

func (s *Server) setAlerts(r *http.Request) (any, error) {
	var body chat.Alerts
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	switch body.Preview {
	case chat.PreviewText, chat.PreviewName, chat.PreviewNothing:
	default:
		return nil, chat.Errorf(chat.CodeUsage, "A notification can't show %.40q. Say %s, %s or %s.", body.Preview, chat.PreviewText, chat.PreviewName, chat.PreviewNothing)
	}
	for _, at := range []string{body.QuietFrom, body.QuietTo} {
		if _, err := time.Parse("15:04", at); at != "" && (err != nil || len(at) != len("15:04")) {
			return nil, chat.Errorf(chat.CodeUsage, "%.20q is no time of day. Give one as 22:00.", at)
		}
	}
	if (body.QuietFrom == "") != (body.QuietTo == "") {
		return nil, chat.Errorf(chat.CodeUsage, "Quiet hours need a beginning and an end. Give quiet_from and quiet_to, or neither.")
	}
	return s.cfg.Backend.SetAlerts(r.Context(), body)
}

func (s *Server) setRoomAlerts(r *http.Request) (any, error) {
	var body AlertLevel
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	switch body.Level {
	case "", chat.AlertAll, chat.AlertMentions, chat.AlertNone:
	default:
		return nil, chat.Errorf(chat.CodeUsage, "%.40q says not what may alert you. Say %s, %s, %s, or nothing for the usual.", body.Level, chat.AlertAll, chat.AlertMentions, chat.AlertNone)
	}
	room, err := s.room(r)
	if err != nil {
		return nil, err
	}
	return s.cfg.Backend.SetRoomAlerts(r.Context(), room.RoomID, body.Level)
}

// presenceQuery is whom GET /v1/presence asks about.
type presenceQuery struct{ who, email string }

func parsePresenceQuery(r *http.Request) (presenceQuery, error) {
	q := presenceQuery{who: r.URL.Query().Get("person"), email: r.URL.Query().Get("email")}
	if (q.who == "") == (q.email == "") {
		return q, chat.Errorf(chat.CodeUsage, "Whose presence? Give one of person and email.")
	}
	return q, nil
}

// find returns those who are asked about, at least one.
func (q presenceQuery) find(ctx context.Context, b Backend) ([]chat.Person, error) {
	if q.email != "" {
		return b.FindEmail(ctx, q.email)
	}
	p, err := b.FindPerson(ctx, q.who)
	return []chat.Person{p}, err
}

// presence answers how somebody is, once or again and again.
func (s *Server) presence(w http.ResponseWriter, r *http.Request) error {
	q, err := parsePresenceQuery(r)
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), eventStream) {
		return s.followPresence(w, r, q)
	}
	people, err := q.find(r.Context(), s.cfg.Backend)
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, presences(people))
	return nil
}

func presences(people []chat.Person) Presences {
	out, now := Presences{Presence: []Presence{}}, time.Now()
	for _, p := range people {
		out.Presence = append(out.Presence, PresenceOf(p, now))
	}
	return out
}

// followPresence tells how somebody is, now and whenever that changes.
func (s *Server) followPresence(w http.ResponseWriter, r *http.Request, q presenceQuery) error {
	ctx, end, err := s.openStream(r)
	if err != nil {
		return err
	}
	defer end()
	f := s.cfg.Backend.Feed()
	sub := f.Subscribe(f.Newest(), s.cfg.Backend.Facts)
	defer sub.Close()
	people, err := q.find(ctx, s.cfg.Backend)
	if err != nil {
		return err
	}
	out, err := newStream(w)
	if err != nil {
		return err
	}
	if q.email == "" { // whatever they are called later
		q.who = people[0].Person.String()
	}
	for last := []byte(nil); ; {
		now, err := json.Marshal(presences(people))
		if err != nil {
			return err
		}
		if !bytes.Equal(now, last) {
			out.add(now)
		}
		last = now
		if err := out.flush(); err != nil {
			s.log.Debug("presence stream ended by its reader", "err", err)
			return nil
		}
		if err := nextAbout(ctx, sub, people, q.email != ""); err != nil {
			if ctx.Err() == nil && !errors.Is(err, feed.ErrClosed) {
				s.log.Error("presence stream ended", "err", err)
			}
			return nil // too late for an error: the caller sees the stream end
		}
		people, err = q.find(ctx, s.cfg.Backend)
		switch chat.CodeOf(err) {
		case "":
		case chat.CodeNotFound, chat.CodeAmbiguous: // nobody in particular any more
			people = nil
		default:
			return nil
		}
	}
}

// nextAbout waits until these people, or where others may come to be among them any
// contact, may have changed, but no longer than keepAlive: what ends by itself is told
// by nobody.
func nextAbout(ctx context.Context, sub *feed.Subscription, people []chat.Person, others bool) error {
	wait, cancel := context.WithTimeout(ctx, keepAlive)
	defer cancel()
	about := func(p chat.Person) bool {
		return others && p.Relation.Known() || len(people) == 0 ||
			slices.ContainsFunc(people, func(o chat.Person) bool { return o.Person == p.Person })
	}
	for {
		batch, err := sub.Next(wait)
		if err != nil {
			if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
				return nil
			}
			return err
		}
		for _, e := range batch {
			switch e := e.(type) {
			case chat.GapEvent:
				return nil
			case chat.PersonEvent:
				if about(e.Person) {
					return nil
				}
			case chat.ContactEvent:
				if about(e.Contact.Person) {
					return nil
				}
			}
		}
	}
}

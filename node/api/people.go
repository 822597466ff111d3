package api

import (
	"cmp"
	"context"
	"net/http"

	"earshot/chat"
)

// This file is the routes about other people.

// Contacts is an answer, NewContact, Decision, Same and Evidence are bodies.
type (
	Contacts struct {
		Contacts []chat.Contact `json:"contacts"`
	}
	NewContact struct {
		Note string `json:"note,omitempty"`
	}
	Decision struct {
		Claimant string `json:"claimant"`
		Same     bool   `json:"same"`
	}
	Same struct {
		Same bool `json:"same"`
	}
	Evidence struct {
		Evidence string `json:"evidence"`
	}
)

// person returns whom the path names.
func (s *Server) person(r *http.Request) (chat.Person, error) {
	return s.cfg.Backend.FindPerson(r.Context(), r.PathValue("who"))
}

// toPerson serves what is done to a person, needs to be told nothing else and
// answers nothing.
func toPerson(do func(Backend, context.Context, chat.PersonID) error) func(*Server, *http.Request) (any, error) {
	return func(s *Server, r *http.Request) (any, error) {
		p, err := s.person(r)
		if err != nil {
			return nil, err
		}
		return nil, do(s.cfg.Backend, r.Context(), p.Person)
	}
}

func (s *Server) onePerson(r *http.Request) (any, error) { return s.person(r) }

func (s *Server) contacts(r *http.Request) (any, error) {
	contacts, err := s.cfg.Backend.Contacts(r.Context())
	return Contacts{list(contacts)}, err
}

func (s *Server) addContact(r *http.Request) (any, error) {
	var body NewContact
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	p, err := s.person(r)
	if err != nil {
		return nil, err
	}
	return s.cfg.Backend.AddContact(r.Context(), p.Person, body.Note)
}

func (s *Server) decideClaim(r *http.Request) (any, error) {
	var body Decision
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	p, err := s.person(r)
	if err != nil {
		return nil, err
	}
	claimant, err := s.cfg.Backend.FindPerson(r.Context(), body.Claimant)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.DecideClaim(r.Context(), p.Person, claimant.Person, body.Same)
}

func (s *Server) verification(r *http.Request) (any, error) {
	p, err := s.person(r)
	if err != nil {
		return nil, err
	}
	return s.cfg.Backend.Verification(r.Context(), p.Person)
}

func (s *Server) startVerification(r *http.Request) (any, error) {
	p, err := s.person(r)
	if err != nil {
		return nil, err
	}
	return s.cfg.Backend.StartVerification(r.Context(), p.Person)
}

func (s *Server) sayVerification(r *http.Request) (any, error) {
	var body Same
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	p, err := s.person(r)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.SayVerification(r.Context(), p.Person, body.Same)
}

// maxEvidence bounds what proves a key, in bytes: a QR code of a terminal holds
// less than 3,000.
const maxEvidence = 4 << 10

func (s *Server) markVerified(r *http.Request) (any, error) {
	var body Evidence
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	switch {
	case body.Evidence == "":
		return nil, chat.Errorf(chat.CodeUsage, "What shows that it is them? Give their 60 digits, or the text of their QR code.")
	case len(body.Evidence) > maxEvidence:
		return nil, chat.Errorf(chat.CodeTooLong, "That is longer than any number or QR code. Give their 60 digits.")
	}
	p, err := s.person(r)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.MarkVerified(r.Context(), p.Person, body.Evidence)
}

func (s *Server) directChat(r *http.Request) (any, error) {
	p, err := s.person(r)
	if err != nil {
		return nil, err
	}
	return s.cfg.Backend.DirectChat(r.Context(), p.Person)
}

func (s *Server) privacy(r *http.Request) (any, error) { return s.cfg.Backend.Privacy(r.Context()) }

func (s *Server) setPrivacy(r *http.Request) (any, error) {
	var body chat.Privacy
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if body.Typing == "" { // of a caller that knows of no such setting
		now, err := s.cfg.Backend.Privacy(r.Context())
		if err != nil {
			return nil, err
		}
		body.Typing = cmp.Or(now.Typing, chat.OnlyContacts)
	}
	for _, who := range []chat.Audience{body.Nearby, body.Presence, body.Typing, body.Read} {
		if err := checkAudience(who); err != nil {
			return nil, err
		}
	}
	if err := s.cfg.Backend.SetPrivacy(r.Context(), body); err != nil {
		return nil, err
	}
	return s.cfg.Backend.Privacy(r.Context())
}

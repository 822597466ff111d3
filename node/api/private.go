package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"earshot/chat"
)

// This file is the routes about private rooms and this person's own devices.

// Members, Invitations and Devices are answers, the others are bodies.
type (
	Members struct {
		Members []chat.Member `json:"members"`
	}
	Invitations struct {
		Invitations []chat.Invitation `json:"invitations"`
	}
	Devices struct {
		Devices []chat.OwnDevice `json:"devices"`
	}
	// Standing says who shall be what in a room.
	Standing struct {
		Who  string `json:"who"`
		Role string `json:"role,omitempty"`
	}
	Rename struct {
		Name string `json:"name"`
	}
	Topic struct {
		Topic string `json:"topic"`
	}
	// Joining is what a new device knows.
	Joining struct {
		Code  string `json:"code"`
		Label string `json:"label,omitempty"`
	}
	Confirmation struct {
		Yes bool `json:"yes"`
	}
)

func (s *Server) members(r *http.Request) (any, error) {
	room, err := s.room(r)
	if err != nil {
		return nil, err
	}
	members, err := s.cfg.Backend.Members(r.Context(), room.RoomID)
	return Members{list(members)}, err
}

// standing returns the room of the path, and who shall be what there.
func (s *Server) standing(r *http.Request) (room chat.Room, who chat.PersonID, role string, err error) {
	var body Standing
	if err = decode(r, &body); err != nil {
		return
	}
	if !slices.Contains([]string{"", chat.RoleMember, chat.RoleAdmin, chat.RoleOwner}, body.Role) {
		err = chat.Errorf(chat.CodeUsage, "%.40q is not a role. Say %s, %s or %s.", body.Role, chat.RoleOwner, chat.RoleAdmin, chat.RoleMember)
		return
	}
	if room, err = s.room(r); err != nil {
		return
	}
	p, err := s.cfg.Backend.FindPerson(r.Context(), body.Who)
	return room, p.Person, body.Role, err
}

func (s *Server) invite(r *http.Request) (any, error) {
	room, who, role, err := s.standing(r)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.Invite(r.Context(), room.RoomID, who, role)
}

func (s *Server) remove(r *http.Request) (any, error) {
	room, who, _, err := s.standing(r)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.Remove(r.Context(), room.RoomID, who)
}

func (s *Server) setRole(r *http.Request) (any, error) {
	room, who, role, err := s.standing(r)
	if err != nil {
		return nil, err
	}
	if role == "" {
		return nil, chat.Errorf(chat.CodeUsage, "Which role? Say %s, %s or %s.", chat.RoleOwner, chat.RoleAdmin, chat.RoleMember)
	}
	return nil, s.cfg.Backend.SetRole(r.Context(), room.RoomID, who, role)
}

func (s *Server) renameRoom(r *http.Request) (any, error) {
	var body Rename
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	name, err := chat.CanonicalRoomName(body.Name)
	if err != nil {
		return nil, err
	}
	room, err := s.room(r)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.RenameRoom(r.Context(), room.RoomID, name)
}

func (s *Server) setTopic(r *http.Request) (any, error) {
	var body Topic
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if len(body.Topic) > chat.MaxTopic {
		return nil, chat.Errorf(chat.CodeTooLong, "The topic has %d bytes and may have %d. Shorten it.", len(body.Topic), chat.MaxTopic)
	}
	room, err := s.room(r)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.SetTopic(r.Context(), room.RoomID, body.Topic)
}

func (s *Server) invitations(r *http.Request) (any, error) {
	invitations, err := s.cfg.Backend.Invitations(r.Context())
	return Invitations{list(invitations)}, err
}

const (
	// minPrefix is how much of an id names something, in characters.
	minPrefix = 6
	// maxCandidates bounds what an error lists.
	maxCandidates = 8
)

// choose returns the one of all that ref means: by its id or the beginning of it,
// or by its name. what is what they are, see is where they are listed.
func choose[T any](all []T, ref, what, see string, name, id func(T) string) (T, error) {
	plain := func(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "-", "")) }
	var found []T
	for _, t := range all {
		begins := plain(ref)
		if len(begins) >= minPrefix && strings.HasPrefix(plain(id(t)), begins) ||
			strings.EqualFold(strings.TrimPrefix(name(t), "#"), strings.TrimPrefix(ref, "#")) {
			found = append(found, t)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	var zero T
	if len(found) == 0 {
		return zero, chat.Errorf(chat.CodeNotFound, "There is no %s %.60q. See `earshot %s`.", what, ref, see)
	}
	var candidates []string
	for _, t := range found[:min(len(found), maxCandidates)] {
		candidates = append(candidates, fmt.Sprintf("%s (%.8s)", name(t), id(t)))
	}
	return zero, chat.Errorf(chat.CodeAmbiguous, "%d fit %.60q: %s. Give the id of the one that is meant.", len(found), ref, strings.Join(candidates, ", "))
}

// invitation returns the one that the path names.
func (s *Server) invitation(r *http.Request) (chat.Invitation, error) {
	all, err := s.cfg.Backend.Invitations(r.Context())
	if err != nil {
		return chat.Invitation{}, err
	}
	return choose(all, r.PathValue("room"), "invitation to", "invitations",
		func(i chat.Invitation) string { return i.Room }, func(i chat.Invitation) string { return i.RoomID.String() })
}

func (s *Server) acceptInvitation(r *http.Request) (any, error) {
	i, err := s.invitation(r)
	if err != nil {
		return nil, err
	}
	return s.cfg.Backend.AcceptInvitation(r.Context(), i.RoomID)
}

func (s *Server) declineInvitation(r *http.Request) (any, error) {
	i, err := s.invitation(r)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.DeclineInvitation(r.Context(), i.RoomID)
}

func (s *Server) devices(r *http.Request) (any, error) {
	devices, err := s.cfg.Backend.Devices(r.Context())
	return Devices{list(devices)}, err
}

func (s *Server) addDevice(r *http.Request) (any, error) {
	return s.cfg.Backend.AddDevice(r.Context())
}

func (s *Server) joinDevice(r *http.Request) (any, error) {
	var body Joining
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if len(body.Code) > maxEvidence || len(body.Label) > chat.MaxName {
		return nil, chat.Errorf(chat.CodeTooLong, "The code or the name of this device is too long. Give the 8 digits, and a name of at most %d bytes.", chat.MaxName)
	}
	return s.cfg.Backend.JoinDevice(r.Context(), body.Code, body.Label)
}

func (s *Server) confirmDevice(r *http.Request) (any, error) {
	var body Confirmation
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.ConfirmDevice(r.Context(), body.Yes)
}

func (s *Server) cancelPairing(r *http.Request) (any, error) {
	return nil, s.cfg.Backend.CancelPairing(r.Context())
}

func (s *Server) revokeDevice(r *http.Request) (any, error) {
	all, err := s.cfg.Backend.Devices(r.Context())
	if err != nil {
		return nil, err
	}
	d, err := choose(all, r.PathValue("device"), "device", "device list",
		func(d chat.OwnDevice) string { return d.Label }, func(d chat.OwnDevice) string { return d.Device.String() })
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Backend.RevokeDevice(r.Context(), d.Device)
}

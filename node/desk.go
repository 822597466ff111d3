package node

import (
	"context"

	"earshot/chat"
)

// This file answers for what is not built yet; each part goes to its own file.

func notYet() error {
	return chat.Errorf(chat.CodeInternal, "This Earshot can't do that yet. Update Earshot.")
}

func (n *Node) Watch(context.Context, chat.PersonID, bool) error { return notYet() }

func (n *Node) Profile(context.Context) (chat.OwnProfile, error) { return chat.OwnProfile{}, notYet() }

func (n *Node) SetProfile(context.Context, chat.OwnProfile) (chat.OwnProfile, error) {
	return chat.OwnProfile{}, notYet()
}

func (n *Node) FindEmail(context.Context, string) ([]chat.Person, error) { return nil, notYet() }

func (n *Node) SetGroups(context.Context, chat.PersonID, []string) (chat.Contact, error) {
	return chat.Contact{}, notYet()
}

func (n *Node) SetTeam(context.Context, chat.PersonID, bool) (chat.Contact, error) {
	return chat.Contact{}, notYet()
}

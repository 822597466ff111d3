package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"earshot/chat"
	"earshot/chat/phrase"
	"earshot/node/api/client"
	"earshot/node/keyring"
)

// completeTimeout bounds asking the node: a person who pressed Tab waits.
const completeTimeout = 500 * time.Millisecond

// completer returns what an argument may be, each perhaps with a tab and what it
// means.
type completer func(ctx context.Context, c *client.Client) []string

// completion makes the shell's completion of a command's arguments. It asks a node
// that runs, and says nothing when none does.
func (a *app) completion(c command) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(c.complete) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return offering(&a.opt, c.complete[len(args)])(cmd, args, word)
	}
}

// offering makes the shell's completion of one word.
func offering(o *options, complete completer) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		home, err := keyring.Home(o.home)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
		defer cancel()
		node, err := client.Open(ctx, home)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer node.Close()
		return complete(ctx, node), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeRooms offers names without their # too, which shells take for a comment,
// and the ids of rooms that share a name.
func completeRooms(ctx context.Context, c *client.Client) []string {
	rooms, err := c.Rooms(ctx)
	if err != nil {
		return nil
	}
	names := roomNames(rooms)
	var out []string
	for _, r := range rooms {
		name := cell(r.Room)
		switch {
		case r.Kind == chat.RoomDirect || r.Left:
		case names[r.RoomID] != name:
			out = append(out, r.RoomID.Short()+"\t"+name)
		default:
			out = append(out, name, name[1:])
		}
	}
	return out
}

func completePrivateRooms(ctx context.Context, c *client.Client) []string {
	rooms, err := c.Rooms(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, r := range rooms {
		if r.Kind == chat.RoomPrivate && !r.Left {
			out = append(out, cell(r.Room)[1:]+"\t"+r.RoomID.Short())
		}
	}
	return out
}

// completeSealed offers where something can be said that only those in it can read.
func completeSealed(ctx context.Context, c *client.Client) []string {
	return append(completePrivateRooms(ctx, c), completeContacts(ctx, c)...)
}

// completeTo offers whom and where something can be said to.
func completeTo(ctx context.Context, c *client.Client) []string {
	return append(completeRooms(ctx, c), completeContacts(ctx, c)...)
}

func completePeople(ctx context.Context, c *client.Client) []string {
	people, err := c.People(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, p := range people {
		out = append(out, cell(p.Name)+"\t"+phrase.Person(p, time.Now()))
	}
	return out
}

func completeContacts(ctx context.Context, c *client.Client) []string {
	contacts, err := c.Contacts(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, p := range contacts {
		if p.Relation.Known() {
			out = append(out, cell(p.Name)+"\t"+p.Person.Person.Short())
		}
	}
	return out
}

// completeIDs offers the ids of people with one of these relations: a name finds
// contacts only.
func completeIDs(relations ...chat.Relation) completer {
	return func(ctx context.Context, c *client.Client) []string {
		people, err := c.People(ctx)
		if err != nil {
			return nil
		}
		var out []string
		for _, p := range people {
			if !p.Me && slices.Contains(relations, p.Relation) {
				out = append(out, p.Person.Short()+"\t"+cell(p.Name))
			}
		}
		return out
	}
}

// completeAnybody offers contacts by name and all others by id.
func completeAnybody(ctx context.Context, c *client.Client) []string {
	others := completeIDs(chat.RelationStranger, chat.RelationRequested, chat.RelationAsking)
	return append(completeContacts(ctx, c), others(ctx, c)...)
}

func completeInvitations(ctx context.Context, c *client.Client) []string {
	invitations, err := c.Invitations(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, i := range invitations {
		out = append(out, i.RoomID.Short()+"\t"+cell(i.Room)+" from "+cell(i.By.Name))
	}
	return out
}

func completeDevices(ctx context.Context, c *client.Client) []string {
	devices, err := c.Devices(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, d := range devices {
		if !d.This && !d.Revoked {
			out = append(out, d.Device.Short()+"\t"+cell(d.Label))
		}
	}
	return out
}

// completeWords offers words of our own.
func completeWords(words ...string) completer {
	return func(context.Context, *client.Client) []string { return words }
}

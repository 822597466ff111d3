package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"earshot/chat"
	"earshot/node/api/client"
	"earshot/node/keyring"
)

// completeTimeout bounds asking the node: a person who pressed Tab waits.
const completeTimeout = 500 * time.Millisecond

// completer returns what an argument may be, each perhaps with a tab and what it
// means.
type completer func(ctx context.Context, c *client.Client) []string

// completion makes the shell's completion of a command's first argument. It asks a
// node that runs, and says nothing when none does.
func (a *app) completion(c command) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		home, err := keyring.Home(a.opt.home)
		if c.complete == nil || len(args) > 0 || err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
		defer cancel()
		node, err := client.Open(ctx, home)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer node.Close()
		return c.complete(ctx, node), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeRooms offers names without their #, which shells take for a comment.
func completeRooms(ctx context.Context, c *client.Client) []string {
	rooms, err := c.Rooms(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, r := range rooms {
		name := cell(r.Room)
		out = append(out, name, name[1:])
	}
	return out
}

func completePeople(ctx context.Context, c *client.Client) []string {
	people, err := c.People(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, p := range people {
		where := "gone"
		if p.Presence == chat.Here {
			where = "here"
		}
		out = append(out, cell(p.Name)+"\t"+where)
	}
	return out
}

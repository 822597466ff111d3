package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"earshot/chat"
	"earshot/cmd/earshot/tui"
	"earshot/node/api/client"
)

// This file makes the command line and the slash commands of the table.

// newRoot builds the command line from the table.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "earshot",
		Short: "Talk with the people within earshot of you, without a server",
		Long: "Earshot lets people on one network talk: no server, no account, no setup.\n\n" +
			"Without a command it opens the terminal UI. Each command uses the node that runs\n" +
			"on your home, or starts one for as long as it needs it.",
		SilenceErrors: true, SilenceUsage: true,
		Version: version(), SuggestionsMinimumDistance: 2,
		Args: arguments(0, 0),
		RunE: a.cobra(runUI),
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return chat.Wrap(chat.CodeUsage, err, sentence(err.Error()), "See `"+cmd.CommandPath()+" --help`.")
	})
	o := &a.opt
	f := root.PersistentFlags()
	f.StringVar(&o.home, "home", "", "directory of your keys and history (default $EARSHOT_HOME, or the platform's place for data)")
	f.BoolVar(&o.json, "json", false, "print JSON: one object, or one on each line")
	f.StringVar(&o.name, "name", "", "what others see you as; it is remembered")
	f.IntVar(&o.port, "port", 0, "TCP port to listen on (default 9327, or any free one)")
	f.StringArrayVar(&o.interfaces, "interface", nil, "network interface `NAME` to use, or with - before it to leave out; may be repeated")
	f.BoolVar(&o.offline, "offline", false, "start no network: read and write the home only")
	f.StringVar(&o.logLevel, "log-level", "", "debug, info, warn or error (default warn)")
	f.StringVar(&o.logFile, "log", "", "write the log to this `FILE`")

	for _, about := range []string{aboutTalk, aboutPeople, aboutFree, aboutAway, aboutHome} {
		root.AddGroup(&cobra.Group{ID: about, Title: about})
	}
	groups := map[string]*cobra.Command{}
	for _, c := range commands() {
		parent := root
		name := c.name
		if group, rest, ok := strings.Cut(c.name, " "); ok {
			if parent = groups[group]; parent == nil {
				parent = newGroup(group)
				groups[group] = parent
				root.AddCommand(parent)
			}
			name = rest
		}
		cmd := a.newCommand(name, c)
		if parent == root {
			groups[name] = cmd // those of two words that begin with it belong below it
		}
		parent.AddCommand(cmd)
	}
	root.AddCommand(&cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitHelp()})
	return root
}

// What the headings in help are about.
const (
	aboutTalk   = "Talking:"
	aboutPeople = "Who is who:"
	aboutFree   = "Who is free:"
	aboutAway   = "For people who are away:"
	aboutHome   = "Your home, and your devices:"
)

// pairs says of the commands of two words, by the first, what they are about.
var pairs = map[string]struct{ about, short string }{
	"room":   {aboutTalk, "Join, make and leave rooms, and say who is in them"},
	"device": {aboutHome, "Bring your own devices together, and part with them"},
	"group":  {aboutPeople, "Put your contacts into groups"},
	"team":   {aboutPeople, "Say whose mentions get through when nothing may disturb you"},
	"keeper": {aboutAway, "Hold sealed messages for people who are away"},
	"carry":  {aboutAway, "Carry sealed messages by hand where no network goes"},
}

func newGroup(name string) *cobra.Command {
	return &cobra.Command{
		Use: name, GroupID: pairs[name].about, Short: pairs[name].short, SuggestionsMinimumDistance: 2,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return chat.Errorf(chat.CodeUsage, "`earshot %s` needs to know what to do. See `earshot %s --help`.", name, name)
		},
	}
}

func (a *app) newCommand(name string, c command) *cobra.Command {
	cmd := &cobra.Command{
		Use: strings.TrimSpace(name + " " + c.args), GroupID: c.about, Short: c.short, Long: c.long, Example: c.example,
		Args: arguments(c.min, c.max), ValidArgsFunction: a.completion(c), RunE: a.cobra(c.run),
	}
	if c.flags != nil {
		c.flags(cmd, &a.opt)
	}
	return cmd
}

// arguments checks how many there are, and finds the command that was meant.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return chat.Errorf(chat.CodeUsage, "`%s` needs more than that: %s. A shell takes # for a comment: quote it, or leave it out.", cmd.CommandPath(), cmd.Use)
		case most < 0 || len(args) <= most:
			return nil
		case cmd.HasSubCommands():
			hint := "See `" + cmd.CommandPath() + " --help`."
			if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
				hint = "Did you mean `" + cmd.CommandPath() + " " + like[0] + "`?"
			}
			return chat.Errorf(chat.CodeUsage, "There is no command %q. %s", cmd.CommandPath()+" "+args[0], hint)
		}
		return chat.Errorf(chat.CodeUsage, "`%s` takes no argument %q. Use: %s", cmd.CommandPath(), args[most], cmd.UseLine())
	}
}

// sentence makes one of an error of the flag parser.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// slashCommands are the rows of the table that the terminal UI offers.
func slashCommands(c *client.Client) []tui.Command {
	var out []tui.Command
	for _, row := range commands() {
		if row.slash == "" {
			continue
		}
		cmd := tui.Command{Name: row.slash, Args: row.slashArgs, Help: strings.ToLower(row.short[:1]) + row.short[1:]}
		if row.say != nil {
			cmd.Run = func(ctx context.Context, room chat.RoomID, args string) (string, error) {
				if args == "" && row.slashArgs != "" && row.slashArgs[0] != '[' {
					return "", chat.Errorf(chat.CodeUsage, "Say also: /%s %s", row.slash, row.slashArgs)
				}
				return row.say(ctx, c, room.String(), args)
			}
		}
		out = append(out, cmd)
	}
	return out
}

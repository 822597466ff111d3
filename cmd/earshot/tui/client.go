package tui

import (
	"context"

	"earshot/chat"
	"earshot/node/api/client"
)

// Connect returns the Client that speaks to a running node through its local API.
func Connect(c *client.Client) Client { return apiClient{c} }

type apiClient struct{ *client.Client }

func (c apiClient) Messages(ctx context.Context, room string, p Page) ([]chat.Message, error) {
	return c.Client.Messages(ctx, room, client.Page{Before: p.Before, After: p.After, Limit: p.Limit})
}

func (c apiClient) Events(ctx context.Context) Events {
	return &apiEvents{ctx: ctx, client: c.Client, stream: c.Client.Events(ctx, client.EventsFrom{})}
}

// apiEvents opens a new stream when the node refused to go on with the last.
type apiEvents struct {
	ctx    context.Context
	client *client.Client
	stream *client.Stream
}

func (e *apiEvents) Next(ctx context.Context) (chat.Event, error) {
	event, err := e.stream.Next(ctx)
	if err != nil && ctx.Err() == nil {
		e.stream.Close()
		e.stream = e.client.Events(e.ctx, client.EventsFrom{})
	}
	return event, err
}

func (e *apiEvents) Close() { e.stream.Close() }

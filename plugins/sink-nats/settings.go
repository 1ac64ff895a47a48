package main

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// settingsSubject is where a tsrun hub says how it keeps messages. Other servers tell
// a client nothing of their sync_interval.
const settingsSubject = "tsrun-hub.settings"

// askWithin bounds the question; of a server that is no hub the answer is immediate.
const askWithin = 2 * time.Second

// hubSettings is what a hub answers.
type hubSettings struct {
	ServerID string `json:"server_id"`
	Sync     string `json:"sync"` // "always" or a duration
}

// promise is what a server promises of what it acknowledges.
type promise struct {
	Server   string `json:"server"`
	Version  string `json:"version"`
	Storage  string `json:"storage"`
	Replicas int    `json:"replicas"`
	Sync     string `json:"sync_interval"` // "always", a duration, "unknown"
	KnownBy  string `json:"sync_known_by"` // "hub", "recipe", "nothing"
	Durable  bool   `json:"acknowledged_is_durable"`
	Text     string `json:"promise"`
}

// promiseOf reads what a client can see of a server's settings; told is what the
// recipe says about its sync_interval.
func promiseOf(conn *nats.Conn, stream jetstream.StreamConfig, told string) promise {
	p := promise{Server: clip(conn.ConnectedServerName()), Version: clip(conn.ConnectedServerVersion()), Storage: stream.Storage.String(),
		Replicas: stream.Replicas, Sync: "unknown", KnownBy: "nothing"}
	if told == "always" {
		p.Sync, p.KnownBy = "always", "recipe"
	}
	if answer, err := conn.Request(settingsSubject, nil, askWithin); err == nil {
		var h hubSettings
		if json.Unmarshal(answer.Data, &h) == nil && h.ServerID == conn.ConnectedServerId() {
			p.Sync, p.KnownBy = clip(h.Sync), "hub" // what it says itself counts more than what is believed of it
		}
	}
	p.Durable, p.Text = p.say()
	return p
}

func (p promise) say() (durable bool, text string) {
	const local = "; the local files are the record"
	switch {
	case strings.EqualFold(p.Storage, "memory"):
		return false, "the stream is in memory: it is gone when the server ends" + local
	case p.Sync == "always" && p.KnownBy == "hub":
		return true, "the hub says that each message was synced to its disk before it was acknowledged"
	case p.Sync == "always":
		return true, "by the recipe, each message was synced to the server's disk before it was acknowledged; the server itself does not say so"
	case p.Replicas > 1:
		return false, "a majority of the servers had each message, and may have had it in memory only: one that loses its power loses what was not synced (every 2 minutes by default), and all at once may lose what was acknowledged" + local
	case p.Sync == "unknown":
		return false, "acknowledged is not durable: the server does not say how often it syncs (every 2 minutes by default), and what was not synced is lost when its PC loses power or crashes" + local
	}
	return false, "acknowledged is not durable: the server syncs every " + p.Sync + ", and what was not synced is lost when its PC loses power or crashes" + local
}

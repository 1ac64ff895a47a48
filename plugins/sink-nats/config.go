package main

import (
	"context"
	"net/url"
	"regexp"
	"strings"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tagfile"
)

const (
	leastWindow, mostWindow = 1, 1024
	leastPatience           = quantity.Second
	mostPatience            = 45 * quantity.Second // the host lets Finish stand still for 60 s
)

// remote is what a recipe says about the server, of tags and of results.
type remote struct {
	access
	Prefix   string        `json:"prefix" jsonschema:"description=first word of each subject: PREFIX.RUN.NODE.CHANNEL of tags and PREFIX.RUN.results.STAGE of results"`
	Patience quantity.Time `json:"patience" jsonschema:"description=how long nothing may be acknowledged at the end of a run before the sink gives up: 1 s to 45 s; while a run records the server may be away as long as it likes"`
	Replicas int           `json:"replicas" jsonschema:"minimum=1,maximum=5,description=servers of a cluster that keep the stream"`
}

// config is what a recipe says about the sink where it takes tags.
type config struct {
	remote
	Format string `json:"format" jsonschema:"enum=bin,enum=tags,enum=txt,enum=csv,description=of the local files: as of sink-file"`
	Window int    `json:"window" jsonschema:"minimum=1,maximum=1024,description=messages that wait for their acknowledgement at most"`
	Sync   string `json:"sync" jsonschema:"enum=unknown,enum=always,description=always: you know that the server syncs each message to its disk before it acknowledges it (sync_interval: always). A tsrun hub says it by itself"`
}

func remoteDefaults() remote {
	return remote{Prefix: "tsrun", Patience: 30 * quantity.Second, Replicas: 1}
}

func defaults() config {
	return config{remote: remoteDefaults(), Format: tagfile.Bin, Window: 64, Sync: "unknown"}
}

// token is what may stand between the dots of a subject here, and in the name of a stream.
var token = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func mistake(field, message, hint string) *sdk.Failure {
	return &sdk.Failure{Code: "bad-config", Field: field, Message: message, Hint: hint}
}

// Check finds mistakes that the schema cannot tell.
func (c remote) Check(sdk.Recording) (found []*sdk.Failure) {
	add := func(field, message, hint string) { found = append(found, mistake(field, message, hint)) }
	for _, address := range c.addresses() {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" {
			add("url", "the address "+clip(shown(address))+" is none of a NATS server", "write nats://HOST:4222, or tls://HOST:4222, and commas between those of a cluster")
		} else if u.User != nil {
			add("url", "the address holds a password", "write user, and put the password into a file that password_file names: a recipe is copied into each run")
		}
	}
	for _, f := range c.access.mistakes() {
		add(f.Field, f.Message, f.Hint)
	}
	if !token.MatchString(c.Prefix) {
		add("prefix", "the prefix "+clip(c.Prefix)+" cannot be a word of a subject", "take 1 to 64 of A-Z, a-z, 0-9, _ and -")
	}
	if c.Patience < leastPatience || c.Patience > mostPatience {
		add("patience", "a patience of "+c.Patience.String(), "write 1 s to 45 s")
	}
	if c.Replicas < 1 || c.Replicas > 5 {
		add("replicas", "a stream has 1 to 5 replicas", "leave it out for 1")
	}
	return found
}

// Check finds those of the tags, too.
func (c config) Check(r sdk.Recording) []*sdk.Failure {
	found := c.remote.Check(r)
	add := func(field, message, hint string) { found = append(found, mistake(field, message, hint)) }
	if c.Window < leastWindow || c.Window > mostWindow {
		add("window", "a window is 1 to 1024 messages", "leave it out for 64")
	}
	if c.Sync != "unknown" && c.Sync != "always" {
		add("sync", "sync "+clip(c.Sync)+" is not known", "write unknown or always")
	}
	if _, err := tagfile.NewEncoder(c.Format, 0); err != nil {
		add("format", err.Error(), "")
	}
	for _, s := range r.Streams {
		if !token.MatchString(s.Name) {
			add("", "channel "+clip(s.Name)+" cannot be a word of a subject", "give the channel a name of A-Z, a-z, 0-9, _ and -")
		}
	}
	return found
}

func open(_ context.Context, env sdk.Env, c config) (sdk.Sink, error) {
	if found := c.Check(sdk.Recording{}); len(found) > 0 {
		return nil, found[0]
	}
	node, _, _ := strings.Cut(env.Instance, ".")
	if !token.MatchString(node) {
		return nil, &sdk.Failure{Code: "bad-config", Message: "open: node " + clip(node) + " cannot be a word of a subject",
			Hint: "give the node a name of A-Z, a-z, 0-9, _ and -"}
	}
	return newSink(c, node, env.Log), nil
}

// clip bounds what is repeated of a recipe in a message.
func clip(text string) string {
	const most = 80
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

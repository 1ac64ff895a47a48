package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tagfile"
)

const (
	leastWindow, mostWindow = 1, 1024
	leastPatience           = quantity.Second
	mostPatience            = 45 * quantity.Second // the host lets Finish stand still for 60 s
	// dialWithin bounds one attempt to reach a server.
	dialWithin = 4 * time.Second
	mostSecret = 64 << 10 // bytes of a file with a token
	mostUser   = 256      // of a name
)

// access is how a server is reached, by the sink and by who follows.
type access struct {
	URL         string `json:"url" jsonschema:"required,description=of the server: nats://HOST:4222 or tls://HOST:4222; those of a cluster with commas between them"`
	TokenFile   string `json:"token_file" jsonschema:"format=file,description=file that holds the token of the server"`
	User        string `json:"user" jsonschema:"description=name of a user of the server; with password_file"`
	Password    string `json:"password_file" jsonschema:"format=file,description=file that holds the password of the user"`
	Nkey        string `json:"nkey_file" jsonschema:"format=file,description=file that holds the seed of an nkey of the server"`
	Credentials string `json:"credentials" jsonschema:"format=file,description=.creds file of a user of the server"`
	CA          string `json:"ca" jsonschema:"format=file,description=PEM file of the CA that has signed the server's certificate; the system's without"`
	Cert        string `json:"cert" jsonschema:"format=file,description=PEM file of a client certificate; with key"`
	Key         string `json:"key" jsonschema:"format=file,description=PEM file of its key"`
}

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

// addresses are those of the servers of a cluster, of which any will do.
func (a access) addresses() []string { return strings.Split(a.URL, ",") }

// mistakes are those of how a user is let in.
func (a access) mistakes() (found []*sdk.Failure) {
	if (a.Cert == "") != (a.Key == "") {
		found = append(found, mistake("cert", "a client certificate needs cert and key", "name both files, or none"))
	}
	if (a.User == "") != (a.Password == "") || len(a.User) > mostUser || strings.ContainsAny(a.User, "\r\n\x00") {
		found = append(found, mistake("user", "a user needs user and password_file, and a name of one line", "write both, or neither"))
	}
	ways := 0
	for _, way := range []string{a.TokenFile, a.Password, a.Nkey, a.Credentials} {
		if way != "" {
			ways++
		}
	}
	if ways > 1 {
		found = append(found, mistake("token_file", "a server lets in by one of token_file, password_file, nkey_file and credentials", "name the one that this server asks for"))
	}
	return found
}

// who are the options by which the server knows who this is. Secrets are in files alone.
func (a access) who() (options []nats.Option, err error) {
	switch {
	case a.TokenFile != "":
		secret, err := readSecret("token_file", a.TokenFile)
		return []nats.Option{nats.Token(secret)}, err
	case a.Password != "":
		secret, err := readSecret("password_file", a.Password)
		return []nats.Option{nats.UserInfo(a.User, secret)}, err
	case a.Nkey != "":
		option, err := nats.NkeyOptionFromSeed(a.Nkey)
		if err != nil { // which says nothing of what is in the file
			return nil, &sdk.Failure{Code: "bad-token", Message: fmt.Sprintf("read the nkey of the NATS server in %s: %v", a.Nkey, err),
				Hint: "the file holds a seed, which begins with SU", Field: "nkey_file"}
		}
		return []nats.Option{option}, nil
	case a.Credentials != "":
		return []nats.Option{nats.UserCredentials(a.Credentials)}, nil
	}
	return nil, nil
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

// dial connects once. A connection that breaks stays broken: what is in flight is
// then asked of the server anew.
func (a access) dial(more ...nats.Option) (*nats.Conn, error) {
	options := append([]nats.Option{nats.Name("tsrun sink-nats"), nats.Timeout(dialWithin), nats.NoReconnect(),
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(3), nats.FlusherTimeout(dialWithin)}, more...)
	as, err := a.who()
	if err != nil {
		return nil, err
	}
	options = append(options, as...)
	if a.CA != "" || a.Cert != "" {
		of, err := a.tls()
		if err != nil {
			return nil, err
		}
		options = append(options, nats.Secure(of))
	}
	conn, err := nats.Connect(a.URL, options...)
	if err != nil {
		var addresses []string
		for _, address := range a.addresses() {
			addresses = append(addresses, shown(address))
		}
		return nil, &sdk.Failure{Code: "nats-unreachable", Message: fmt.Sprintf("reach the NATS server at %s: %v", clip(strings.Join(addresses, ", ")), err),
			Hint: "is it running, and does this PC reach it? a server needs JetStream (nats-server -js, or tsrun hub); where it lets in users only, name token_file, password_file, nkey_file or credentials, and its CA"}
	}
	return conn, nil
}

// shown is an address without a password.
func shown(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return "an address that cannot be read"
}

func (a access) tls() (*tls.Config, error) {
	of := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.CA != "" {
		text, err := os.ReadFile(a.CA)
		if err != nil {
			return nil, fmt.Errorf("read the CA of the NATS server: %w", err)
		}
		of.RootCAs = x509.NewCertPool()
		if !of.RootCAs.AppendCertsFromPEM(text) {
			return nil, &sdk.Failure{Code: "bad-config", Message: "read the CA of the NATS server: " + a.CA + " holds no certificate", Hint: "name a PEM file", Field: "ca"}
		}
	}
	if a.Cert != "" {
		pair, err := tls.LoadX509KeyPair(a.Cert, a.Key)
		if err != nil {
			return nil, fmt.Errorf("read the certificate for the NATS server: %w", err)
		}
		of.Certificates = []tls.Certificate{pair}
	}
	return of, nil
}

// readSecret reads a token or a password: one line of a small file.
func readSecret(field, path string) (string, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > mostSecret {
		err = fmt.Errorf("%s has %d bytes", path, info.Size())
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	secret := strings.TrimSpace(string(text))
	if err == nil && (secret == "" || strings.ContainsAny(secret, "\r\n")) {
		err = fmt.Errorf("%s is not one line", path)
	}
	if err != nil {
		return "", &sdk.Failure{Code: "bad-token", Message: fmt.Sprintf("read the %s of the NATS server: %v", strings.TrimSuffix(field, "_file"), err),
			Hint: "the file holds it and nothing else", Field: field}
	}
	return secret, nil
}

// clip bounds what is repeated of a recipe in a message.
func clip(text string) string {
	const most = 80
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

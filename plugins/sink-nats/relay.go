package main

import (
	"context"
	"errors"
	"fmt"

	"tsrun/sdk"
	"tsrun/sdk/zmtp"
)

// mergedConfig is what a recipe says about the sink where it takes the merged tags.
type mergedConfig struct {
	access
	Prefix   string `json:"prefix" jsonschema:"description=first word of the subject: PREFIX.RUN.merged"`
	Replicas int    `json:"replicas" jsonschema:"minimum=1,maximum=5,description=servers of a cluster that keep the stream"`
	sdk.MergedChoice
}

func mergedDefaults() mergedConfig {
	return mergedConfig{Prefix: remoteDefaults().Prefix, Replicas: 1, MergedChoice: sdk.MergedDefaults()}
}

// Check finds mistakes that the schema cannot tell.
func (c mergedConfig) Check(r sdk.Recording) []*sdk.Failure {
	as := remoteDefaults()
	as.access, as.Prefix, as.Replicas = c.access, c.Prefix, c.Replicas
	return as.Check(r)
}

// takeMerged brings the merged tags of a run to a server, until the run says its end.
func takeMerged(ctx context.Context, m sdk.Merged, c mergedConfig) (sdk.MergedAnswer, error) {
	r := &relay{config: c, run: m.Run}
	if found := c.Check(sdk.Recording{}); len(found) > 0 {
		return r.said, found[0]
	}
	if !isRun(m.Run) {
		return r.said, fmt.Errorf("take merged tags: %.64q is no run", m.Run)
	}
	r.said.Where = c.Prefix + "." + m.Run + ".merged"
	defer r.hangUp()
	from, err := subscribe(ctx, m.Socket) // first: nothing is missed while the server is reached
	if err != nil {
		return r.said, err
	}
	defer from.Close()
	if err := r.dial(); err != nil {
		return r.said, err
	}
	if err := r.look(ctx); err != nil {
		return r.said, err
	}
	err = r.work(ctx, from)
	if err == nil && r.said.Dropped > 0 {
		err = &sdk.Failure{Code: "nats-behind", Message: fmt.Sprintf("the NATS server did not take %d messages", r.said.Dropped), Hint: "look at the server; the run has all tags in its files"}
		if r.refused != nil {
			err = fmt.Errorf("%w; the last time: %w", err, r.refused)
		}
	}
	return r.said, err
}

// subscribe listens at the socket of a run.
func subscribe(ctx context.Context, socket string) (*zmtp.Conn, error) {
	conn, err := zmtp.Dial(ctx, "unix", socket, "SUB")
	if err == nil {
		if sent := conn.Send(askedWithin, []byte{1}); sent != nil {
			conn.Close()
			err = sent
		}
	}
	if err != nil {
		return nil, errors.Join(errors.New("hear the merged tags of the run"), err)
	}
	return conn, nil
}

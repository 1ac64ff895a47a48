// Package stage carries out the stages of a recipe over the raw files of a run:
// a file for each kind, which makes a [run.Result] with its table and its
// summary. [Analyse] runs all of them in order.
//
// What an align stage has found is taken into account by the stages after it,
// and by the commands that read a run ([OpenRecorded]). While a run goes on, what
// align stages see of it is kept by a [SyncLog].
package stage

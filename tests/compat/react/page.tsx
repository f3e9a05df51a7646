// Components that use the official hooks. The address says which one to show and what it is given; what a
// hook returns stands in the document as JSON, under its name.
import { StrictMode, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import * as hooks from "@trigger.dev/react-hooks";

const address = new URLSearchParams(location.search);
const given = JSON.parse(address.get("given") ?? "{}");
const access = { accessToken: given.token, baseURL: given.baseURL };

function Values(props: { of: Record<string, unknown>; error?: Error; children?: ReactNode }) {
  return (
    <main>
      {Object.entries(props.of).map(([name, value]) => (
        <output key={name} id={name}>{JSON.stringify(value)}</output>
      ))}
      {props.error && <p role="alert">{props.error.message}</p>}
      {props.children}
    </main>
  );
}

type Seen = { id: string; status: string; output?: unknown; metadata?: unknown; finishedAt?: Date } | undefined;
const summary = (run: Seen) => ({
  status: run?.status,
  metadata: run?.metadata,
  output: typeof run?.output === "string" ? run.output.length : run?.output,
  isFinished: run?.finishedAt instanceof Date,
});
const states = (runs: NonNullable<Seen>[]) => Object.fromEntries(runs.map((run) => [run.id, run.status]).sort());

const scenes: Record<string, () => ReactNode> = {
  Run() {
    const { run, error } = hooks.useRealtimeRun(given.run, { ...access, onComplete: () => (document.title = "complete") });
    return <Values of={summary(run)} error={error} />;
  },
  Tag() {
    const { runs, error } = hooks.useRealtimeRunsWithTag(given.tag, access);
    return <Values of={{ runs: states(runs) }} error={error} />;
  },
  Batch() {
    const { runs, error } = hooks.useRealtimeBatch(given.batch, access);
    return <Values of={{ runs: states(runs) }} error={error} />;
  },
  Stream() {
    const { parts, error } = hooks.useRealtimeStream<number>(given.run, "numbers", access);
    return <Values of={{ parts }} error={error} />;
  },
  Renewed() {
    const refreshAccessToken = async () => given.next;
    const { parts, error } = hooks.useRealtimeStream<number>(given.run, "numbers", { ...access, refreshAccessToken });
    return <Values of={{ parts }} error={error} />;
  },
  Streams() {
    const { run, streams, error } = hooks.useRealtimeRunWithStreams(given.run, access);
    return <Values of={{ ...summary(run), streams }} error={error} />;
  },
  Once() {
    const { run, error } = hooks.useRun(given.run, { ...access, refreshInterval: 200 });
    return <Values of={summary(run)} error={error as Error} />;
  },
  Trigger() {
    const { submit, handle, error } = hooks.useTaskTrigger(given.task, access);
    return (
      <Values of={{ handle: handle?.id }} error={error}>
        <button onClick={() => submit(given.payload, { tags: ["from-a-page"] })}>go</button>
      </Values>
    );
  },
  RealtimeTrigger() {
    const { submit, run, handle, error } = hooks.useRealtimeTaskTrigger(given.task, access);
    return (
      <Values of={{ handle: handle?.id, ...summary(run) }} error={error}>
        <button onClick={() => submit(given.payload)}>go</button>
      </Values>
    );
  },
  TriggerWithStreams() {
    const { submit, run, streams, error } = hooks.useRealtimeTaskTriggerWithStreams(given.task, access);
    return (
      <Values of={{ ...summary(run), streams }} error={error}>
        <button onClick={() => submit(given.payload)}>go</button>
      </Values>
    );
  },
  Complete() {
    const { complete, error } = hooks.useWaitToken(given.waitpoint, access);
    return (
      <Values of={{}} error={error}>
        <button onClick={() => complete({ by: "Ada" })}>go</button>
      </Values>
    );
  },
  Input() {
    const { send, isReady, error } = hooks.useInputStreamSend("approval", given.run, access);
    return (
      <Values of={{ isReady }} error={error}>
        <button onClick={() => send({ by: "Ada" })}>go</button>
      </Values>
    );
  },
};

const Shown = scenes[address.get("scene") ?? ""];
createRoot(document.getElementById("root")!).render(<StrictMode><Shown /></StrictMode>);

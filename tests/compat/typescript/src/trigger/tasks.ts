import { AbortTaskRunError, batch, idempotencyKeys, logger, metadata, queue, runs, schedules, tags, task, tasks, wait } from "@trigger.dev/sdk";

export const VERSION = "one";

const narrow = queue({ name: "narrow-ts", concurrencyLimit: 1 });

/** Everything a task is told about itself. */
export const hello = task({
  id: "ts-hello",
  run: async (payload: { name: string; at?: Date }, { ctx }) => ({
    greeting: `Hello, ${payload.name}`,
    version: VERSION,
    isDate: payload.at instanceof Date,
    at: payload.at,
    attempt: ctx.attempt.number,
    run: ctx.run.id,
    runVersion: ctx.run.version,
    tags: ctx.run.tags,
    environment: ctx.environment.type,
    project: ctx.project.ref,
    queue: ctx.queue.name,
    secret: process.env.SECRET_OF_THE_ENVIRONMENT,
  }),
});

/** Reads its own run, with no other credential than the token of its attempt. */
export const readsItself = task({
  id: "ts-reads-itself",
  run: async (_: {}, { ctx }) => {
    const address = `${process.env.TRIGGER_API_URL}/api/v3/runs/${ctx.run.id}`;
    const answer = await fetch(address, { headers: { authorization: `Bearer ${process.env.TRIGGER_JWT}` } });
    return { status: answer.status, id: ((await answer.json()) as { id?: string }).id };
  },
});

export const nothing = task({ id: "ts-nothing", queue: narrow, run: async () => {} });

export const double = task({ id: "ts-double", run: async ({ n }: { n: number }) => 2 * n });

/** Fails until its third attempt; the pause decides whether the retry is immediate or queued. */
export const thirdTime = task({
  id: "ts-third-time",
  retry: { maxAttempts: 3, minTimeoutInMs: 50, maxTimeoutInMs: 50, factor: 1, randomize: false },
  run: async (_: {}, { ctx }) => {
    if (ctx.attempt.number < 3) throw new Error(`attempt ${ctx.attempt.number}`);
    return ctx.attempt.number;
  },
});

/** A retry that is too far away to wait for: it goes back to the queue. */
export const later = task({
  id: "ts-later",
  retry: { maxAttempts: 2, minTimeoutInMs: 31_000, maxTimeoutInMs: 31_000, factor: 1, randomize: false },
  run: async (_: {}, { ctx }) => {
    if (ctx.attempt.number === 1) throw new Error("not yet");
    return ctx.attempt.number;
  },
});

export const fails = task({
  id: "ts-fails",
  run: async ({ how }: { how: string }) => {
    if (how === "error") throw new TypeError("a type error");
    if (how === "text") throw "only text";
    if (how === "object") throw { code: 42 };
    if (how === "abort") throw new AbortTaskRunError("useless to try again");
    process.exit(3);
  },
});

export const sleeps = task({
  id: "ts-sleeps",
  run: async ({ seconds }: { seconds: number }) => {
    const before = Date.now();
    await wait.for({ seconds });
    return Date.now() - before;
  },
});

export const approval = task({
  id: "ts-approval",
  run: async ({ token }: { token: string }) => {
    const first = await wait.forToken<{ answer: string }>(token);
    const again = await wait.forToken<{ answer: string }>(token);
    return first.ok && again.ok
      ? { ok: true, first: first.output, again: again.output }
      : { ok: false, name: first.ok ? "" : (first.error as Error).name };
  },
});

export const parent = task({
  id: "ts-parent",
  run: async ({ n, key }: { n: number; key?: string }) => {
    const options = key ? { idempotencyKey: await idempotencyKeys.create(key, { scope: "global" }) } : {};
    const one = await double.triggerAndWait({ n }, options);
    const again = key ? await double.triggerAndWait({ n }, options) : undefined;
    const bad = await fails.triggerAndWait({ how: "error" });
    return {
      one: one.ok ? one.output : "failed",
      again: again?.ok ? again.output : undefined,
      bad: bad.ok ? "succeeded" : (bad.error as Error).message,
    };
  },
});

export const family = task({
  id: "ts-family",
  run: async ({ ns }: { ns: number[] }) => {
    const all = await double.batchTriggerAndWait(ns.map((n) => ({ payload: { n } })));
    const mixed = await batch.triggerByTaskAndWait([
      { task: double, payload: { n: 50 } },
      { task: fails, payload: { how: "error" } },
    ]);
    return {
      all: all.runs.map((one) => (one.ok ? one.output : "failed")),
      mixed: mixed.runs.map((one) => (one.ok ? one.output : "failed")),
    };
  },
});

/** Calls a task of another language by its id. */
export const foreign = task({
  id: "ts-foreign",
  run: async ({ task, payload }: { task: string; payload: unknown }) => {
    const answer = await tasks.triggerAndWait<any>(task, payload as any);
    return answer.ok ? { ok: true, output: answer.output } : { ok: false, error: (answer.error as Error).message };
  },
});

/** Triggers in every way from within spans. */
export const within = task({
  id: "ts-within",
  run: async ({ n, foreign = true }: { n: number; foreign?: boolean }) => {
    await logger.trace("outer", async (span) => {
      span.setAttribute("n", n);
      logger.info("a line", { n });
      console.log("printed");
      await logger.trace("inner", () => double.triggerAndWait({ n }));
      await double.batchTriggerAndWait([{ payload: { n } }]);
      if (foreign) await tasks.triggerAndWait<any>("py-double", n as any);
      await double.trigger({ n });
      await double.batchTrigger([{ payload: { n } }, { payload: { n } }]);
    });
    await double.triggerAndWait({ n });
  },
});

export const notes = task({
  id: "ts-notes",
  run: async () => {
    metadata.set("step", 1).append("lines", "a").increment("count", 2);
    await metadata.flush();
    const child = await scribe.triggerAndWait({});
    metadata.set("last", "written at the end").increment("count", 1);
    await tags.add("noted");
    return { child: child.ok, seen: metadata.current() };
  },
});

export const scribe = task({
  id: "ts-scribe",
  run: async () => {
    metadata.parent.set("child", "was here");
    metadata.root.increment("grandchildren", 1);
  },
});

export const endless = task({
  id: "ts-endless",
  onCancel: async () => {
    console.log("canceled, cleaning up");
  },
  run: async ({ seconds }: { seconds: number }, { signal }) => {
    metadata.set("running", true);
    await metadata.flush();
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      signal.addEventListener("abort", () => (clearTimeout(timer), resolve(undefined)));
    });
    return "ended by itself";
  },
});

/** Lives through the end of its session. */
export const survivor = task({
  id: "ts-survivor",
  retry: { maxAttempts: 2, minTimeoutInMs: 50, maxTimeoutInMs: 50, factor: 1, randomize: false },
  run: async (_: {}, { ctx }) => {
    if (ctx.attempt.number === 1) await new Promise((resolve) => setTimeout(resolve, 120_000));
    return ctx.attempt.number;
  },
});

/** Loops without giving way until its time is over. */
export const busy = task({
  id: "ts-busy",
  maxDuration: 5,
  run: async () => {
    const until = Date.now() + 60_000;
    while (Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 10));
  },
});

export const ticking = schedules.task({
  id: "ts-ticking",
  cron: { pattern: "* * * * *", timezone: "Europe/Berlin" },
  run: async (payload) => ({
    schedule: payload.scheduleId,
    isDate: payload.timestamp instanceof Date,
    timezone: payload.timezone,
    upcoming: payload.upcoming.length,
  }),
});

export const lists = task({
  id: "ts-lists",
  run: async () => {
    const page = await runs.list({ limit: 1 });
    return page.data.length;
  },
});

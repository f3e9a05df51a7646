import { metadata, streams, task } from "@trigger.dev/sdk";

const parts = streams.define<{ n: number }>({ id: "parts" });
const approval = streams.input<{ approved: boolean; by: string }>({ id: "approval" });

async function* counted(count: number) {
  for (let n = 0; n < count; n++) {
    await new Promise((done) => setTimeout(done, 5));
    yield { n };
  }
}

/** Writes a stream of values, one part by itself, and a stream of another name. */
export const piping = task({
  id: "ts-piping",
  run: async ({ count }: { count: number }) => {
    const { waitUntilComplete } = parts.pipe(counted(count));
    await waitUntilComplete();
    await streams.append("texts", "a text");
    await metadata.stream("older", counted(2));
    return count;
  },
});

/** Receives twice: by listening, and by a wait that lets the process go. */
export const asking = task({
  id: "ts-asking",
  run: async () => {
    const first = await approval.once().unwrap();
    const second = await approval.wait({ timeout: "1h" });
    return { first, second: second.ok ? second.output : "nothing" };
  },
});

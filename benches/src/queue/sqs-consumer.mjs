// Empties a queue in batches and prints the CPU that it took, in microseconds.
import { SQSClient } from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const { QUEUE_URL, MESSAGES } = process.env;
let left = Number(MESSAGES);
const began = process.cpuUsage();
const consumer = Consumer.create({
  queueUrl: QUEUE_URL,
  sqs: new SQSClient({ maxAttempts: 1 }),
  batchSize: 10,
  visibilityTimeout: 30,
  heartbeatInterval: 10,
  handleMessageBatch: async (messages) => {
    for (const message of messages) {
      if (JSON.parse(message.Body).payload.items.length !== 5) throw new Error("another body");
    }
    left -= messages.length;
    return messages;
  },
});
for (const event of ["error", "processing_error", "timeout_error"]) {
  consumer.on(event, (error) => { console.error(error); process.exit(1); });
}
consumer.on("response_processed", () => {
  if (left > 0) return;
  const { user, system } = process.cpuUsage(began);
  console.log(user + system);
  process.exit(0);
});
consumer.start();

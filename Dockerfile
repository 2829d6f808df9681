# docker build -t espalier .            (--build-arg BASE=… for another image with Node 24 or later and npm)
ARG BASE=node:26-slim

FROM ${BASE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM ${BASE}
WORKDIR /app
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE ./
COPY proto proto
# Operators' verbs by their name: kubectl exec … -- espalier root list
RUN chmod 755 dist/main.js && ln -s /app/dist/main.js /usr/local/bin/espalier
# The only place that is written to: give it a volume, and the rest may be read-only.
RUN mkdir /data && chown 1000:1000 /data && chmod 700 /data
VOLUME /data
WORKDIR /data
ENV NODE_ENV=production
USER 1000:1000
# A small young generation and one thread to collect it: short pauses, since every key that was verified is freed there.
ENTRYPOINT ["node", "--max-semi-space-size=2", "--single-threaded-gc", "/app/dist/main.js"]
CMD ["--help"]

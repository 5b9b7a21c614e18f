BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE arms (
	study_id VARCHAR(64) NOT NULL, 
	arm_key VARCHAR(200) NOT NULL, 
	number INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	levels TEXT NOT NULL, stopped TEXT, 
	CONSTRAINT pk_arms PRIMARY KEY (study_id, arm_key), 
	CONSTRAINT fk_arms_study_id FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "arms" VALUES('c4c0d38f243ad414','f8fab606c86d',0,'science=0','{"sft.mixture.alpha.science":0}',NULL);
INSERT INTO "arms" VALUES('c4c0d38f243ad414','d3b747562902',1,'science=1','{"sft.mixture.alpha.science":1}',NULL);
INSERT INTO "arms" VALUES('4122ef29c87d59eb','9886f1625d3a',0,'science=3','{"sft.mixture.alpha.science":3}',NULL);
INSERT INTO "arms" VALUES('4122ef29c87d59eb','26d9bc391d74',1,'science=4','{"sft.mixture.alpha.science":4}',NULL);
INSERT INTO "arms" VALUES('136f7a648c4a9a26','a458b6289c7a',0,'science=5','{"sft.mixture.alpha.science":5}',NULL);
INSERT INTO "arms" VALUES('136f7a648c4a9a26','73d8bed4101d',1,'science=6','{"sft.mixture.alpha.science":6}',NULL);
CREATE TABLE attempts (
	attempt_id VARCHAR(64) NOT NULL, 
	stage_id VARCHAR(64) NOT NULL, 
	attempt_no INTEGER NOT NULL, 
	study_id VARCHAR(64) NOT NULL, 
	driver_id VARCHAR(64) NOT NULL, 
	epoch BIGINT NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	lease_expires_at DOUBLE NOT NULL, 
	started_at DOUBLE NOT NULL, 
	ended_at DOUBLE, 
	is_charged BOOLEAN NOT NULL, 
	checkpoint_step BIGINT NOT NULL, 
	progress TEXT, 
	failure TEXT, 
	failure_hash VARCHAR(64) NOT NULL, 
	result TEXT, 
	CONSTRAINT pk_attempts PRIMARY KEY (attempt_id), 
	CONSTRAINT fk_attempts_stage_id FOREIGN KEY(stage_id) REFERENCES stages (stage_id), 
	CONSTRAINT uq_attempts_stage_id UNIQUE (stage_id, attempt_no)
);
INSERT INTO "attempts" VALUES('0bc32356aa7b5a78b7769fb4235b6b6a','cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e',1,'c4c0d38f243ad414','b158990ff8724303ab4e3b412f39286e',1,'SUCCEEDED',1.7960894499179844856e+09,1.79608938991798448565e+09,1.796089390018004179e+09,0,0,NULL,NULL,'','{"loss":2.836775641189888,"resumed_from":0,"samples":4}');
INSERT INTO "attempts" VALUES('43541339aa1f559392922aaa2a556bcb','29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2',1,'4122ef29c87d59eb','b158990ff8724303ab4e3b412f39286e',1,'SUCCEEDED',1.796089450018004179e+09,1.79608938991798448565e+09,1.7960893900979876518e+09,0,0,NULL,NULL,'','{"loss":2.836775641189888,"resumed_from":0,"samples":4}');
INSERT INTO "attempts" VALUES('de7219e2810155aa87b2150e1cfe1342','2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070',1,'c4c0d38f243ad414','b158990ff8724303ab4e3b412f39286e',1,'SUCCEEDED',1.79608945009798765188e+09,1.796089390018004179e+09,1.79608939018899488445e+09,0,0,NULL,NULL,'','{"loss":4.868574643274769,"resumed_from":0,"samples":4}');
INSERT INTO "attempts" VALUES('16870650cd945e5a876188faf31a24f0','d33bdd35c1d2a632d5e9aba33da045c2361e15130520480e3254fcfd550d65c5',1,'4122ef29c87d59eb','b158990ff8724303ab4e3b412f39286e',1,'USER_ERROR',1.79608945018899488453e+09,1.7960893900979876518e+09,1.79608939022999262806e+09,1,0,NULL,'{"hash":"0303cd1823b1a4e2","kind":"USER_ERROR","message":"trouble was asked for","traceback":"Traceback (most recent call last):\n  File \"/ablate/orchestrator/attempt.py\", line 112, in run_attempt\n    result, failure = _execute(order, stages, journal, should_stop, identify, mirror), None\n                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/ablate/orchestrator/attempt.py\", line 143, in _execute\n    result = stages[kind](work)\n             ^^^^^^^^^^^^^^^^^^\n  File \"/ablate/tests/toy.py\", line 103, in _train\n    _trouble(work, step)\n  File \"/ablate/tests/toy.py\", line 166, in _trouble\n    raise ValueError(\"trouble was asked for\")\nValueError: trouble was asked for\n","type":"builtins.ValueError"}','0303cd1823b1a4e2',NULL);
INSERT INTO "attempts" VALUES('928f39ec854e5810bf4bddb6cd6f410a','25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992',1,'c4c0d38f243ad414','b158990ff8724303ab4e3b412f39286e',1,'SUCCEEDED',1.79608945022999262814e+09,1.79608939018899488445e+09,1.79608939026998424529e+09,0,0,NULL,NULL,'','{"benchmark":"a","is_complete":true,"num_items":10,"num_unparseable":0,"score":38.51961730979383,"score_lenient":38.51961730979383,"seconds":0.0,"tokens_per_image":16.0}');
INSERT INTO "attempts" VALUES('82876e63e82e5ce5abb6a22babada4e2','b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00',1,'4122ef29c87d59eb','b158990ff8724303ab4e3b412f39286e',1,'SUCCEEDED',1.79608945026998424523e+09,1.79608939022999262806e+09,1.79608939033801841733e+09,0,0,NULL,NULL,'','{"loss":2.836775641189888,"resumed_from":0,"samples":4}');
INSERT INTO "attempts" VALUES('ccc18132f5535ba2b00cb974c3b57cd4','0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4',1,'c4c0d38f243ad414','b158990ff8724303ab4e3b412f39286e',1,'SUCCEEDED',1.79608945033801841728e+09,1.79608939026998424529e+09,1.79608939058601570128e+09,0,0,NULL,NULL,'','{"loss":4.432821825612336,"resumed_from":0,"samples":4}');
INSERT INTO "attempts" VALUES('3161ddea55ec512d8aa00eec906aef8e','e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85',1,'4122ef29c87d59eb','b158990ff8724303ab4e3b412f39286e',1,'SUCCEEDED',1.79608945058601570127e+09,1.79608939033801841733e+09,1.79608939070200777053e+09,0,0,NULL,NULL,'','{"loss":5.672518832841888,"resumed_from":0,"samples":4}');
INSERT INTO "attempts" VALUES('d4a98c00f66255839e8032f87171bde9','f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650',1,'c4c0d38f243ad414','b158990ff8724303ab4e3b412f39286e',1,'SUCCEEDED',1.79608945070200777052e+09,1.79608939058601570128e+09,1.79608939076601862912e+09,0,0,NULL,NULL,'','{"benchmark":"a","is_complete":true,"num_items":10,"num_unparseable":0,"score":19.245246122591197,"score_lenient":19.245246122591197,"seconds":0.0,"tokens_per_image":16.0}');
INSERT INTO "attempts" VALUES('3ee8af936ee15f9392743294f5ca0dcf','6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6',1,'4122ef29c87d59eb','b158990ff8724303ab4e3b412f39286e',1,'SUCCEEDED',1.79608945076601862907e+09,1.79608939070200777053e+09,1.79608939080999350547e+09,0,0,NULL,NULL,'','{"benchmark":"a","is_complete":true,"num_items":10,"num_unparseable":0,"score":54.92185913026333,"score_lenient":54.92185913026333,"seconds":0.0,"tokens_per_image":16.0}');
CREATE TABLE driver_lease (
	id INTEGER NOT NULL, 
	epoch BIGINT NOT NULL, 
	driver_id VARCHAR(64) NOT NULL, 
	lease_expires_at DOUBLE NOT NULL, 
	holder TEXT NOT NULL, 
	bell BIGINT NOT NULL, token VARCHAR(64) DEFAULT '' NOT NULL, ttl_s DOUBLE DEFAULT '60' NOT NULL, 
	CONSTRAINT pk_driver_lease PRIMARY KEY (id)
);
INSERT INTO "driver_lease" VALUES(1,2,'ec5a894d1b514b4cafd15efcf17d70f6',0.0,'{"host": "host", "boot": "bootpid:[4026531836]", "pid": 24203, "began": "409232"}',3,'146500ff167e4d66941166b2378809f9',5.0);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	study_id VARCHAR(64), 
	entity VARCHAR(16) NOT NULL, 
	entity_id VARCHAR(300) NOT NULL, 
	from_state VARCHAR(32) NOT NULL, 
	to_state VARCHAR(32) NOT NULL, 
	actor VARCHAR(100) NOT NULL, 
	detail TEXT NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY (id)
);
INSERT INTO "events" VALUES(1,1.79608938987099218368e+09,'c4c0d38f243ad414','study','c4c0d38f243ad414','','QUEUED','submit','{"version":1}');
INSERT INTO "events" VALUES(2,1.79608938989199399954e+09,'4122ef29c87d59eb','study','4122ef29c87d59eb','','QUEUED','submit','{"version":1}');
INSERT INTO "events" VALUES(3,1.79608938990901255612e+09,NULL,'driver','b158990ff8724303ab4e3b412f39286e','','DRIVING','driver b158990ff8724303ab4e3b412f39286e','{"epoch":1}');
INSERT INTO "events" VALUES(4,1.79608938991798448565e+09,NULL,'stage','cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e','PLANNED','QUEUED','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(5,1.79608938991798448565e+09,NULL,'stage','29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2','PLANNED','QUEUED','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(6,1.79608938991798448565e+09,NULL,'stage','b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00','PLANNED','QUEUED','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(7,1.79608938991798448565e+09,'c4c0d38f243ad414','study','c4c0d38f243ad414','QUEUED','RUNNING','driver b158990ff8724303ab4e3b412f39286e','{"reason":""}');
INSERT INTO "events" VALUES(8,1.79608938991798448565e+09,'4122ef29c87d59eb','study','4122ef29c87d59eb','QUEUED','RUNNING','driver b158990ff8724303ab4e3b412f39286e','{"reason":""}');
INSERT INTO "events" VALUES(9,1.79608938991798448565e+09,NULL,'attempt','0bc32356aa7b5a78b7769fb4235b6b6a','','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"epoch":1,"stage_id":"cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e"}');
INSERT INTO "events" VALUES(10,1.79608938991798448565e+09,NULL,'stage','cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e','QUEUED','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_id":"0bc32356aa7b5a78b7769fb4235b6b6a","attempt_no":1}');
INSERT INTO "events" VALUES(11,1.79608938991798448565e+09,NULL,'attempt','43541339aa1f559392922aaa2a556bcb','','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"epoch":1,"stage_id":"29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2"}');
INSERT INTO "events" VALUES(12,1.79608938991798448565e+09,NULL,'stage','29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2','QUEUED','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_id":"43541339aa1f559392922aaa2a556bcb","attempt_no":1}');
INSERT INTO "events" VALUES(13,1.79608938991798448565e+09,'4122ef29c87d59eb','trial','9886f1625d3a-s0','PLANNED','RUNNING','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(14,1.79608938991798448565e+09,'c4c0d38f243ad414','trial','f8fab606c86d-s0','PLANNED','RUNNING','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(15,1.79608938991798448565e+09,'c4c0d38f243ad414','trial','d3b747562902-s0','PLANNED','RUNNING','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(16,1.796089390018004179e+09,NULL,'attempt','0bc32356aa7b5a78b7769fb4235b6b6a','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"is_charged":false}');
INSERT INTO "events" VALUES(17,1.796089390018004179e+09,NULL,'stage','cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"failure":null}');
INSERT INTO "events" VALUES(18,1.796089390018004179e+09,NULL,'stage','2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070','PLANNED','QUEUED','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(19,1.796089390018004179e+09,NULL,'stage','0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4','PLANNED','QUEUED','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(20,1.796089390018004179e+09,NULL,'attempt','de7219e2810155aa87b2150e1cfe1342','','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"epoch":1,"stage_id":"2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070"}');
INSERT INTO "events" VALUES(21,1.796089390018004179e+09,NULL,'stage','2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070','QUEUED','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_id":"de7219e2810155aa87b2150e1cfe1342","attempt_no":1}');
INSERT INTO "events" VALUES(22,1.7960893900979876518e+09,NULL,'attempt','43541339aa1f559392922aaa2a556bcb','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"is_charged":false}');
INSERT INTO "events" VALUES(23,1.7960893900979876518e+09,NULL,'stage','29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"failure":null}');
INSERT INTO "events" VALUES(24,1.7960893900979876518e+09,NULL,'stage','d33bdd35c1d2a632d5e9aba33da045c2361e15130520480e3254fcfd550d65c5','PLANNED','QUEUED','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(25,1.7960893900979876518e+09,NULL,'attempt','16870650cd945e5a876188faf31a24f0','','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"epoch":1,"stage_id":"d33bdd35c1d2a632d5e9aba33da045c2361e15130520480e3254fcfd550d65c5"}');
INSERT INTO "events" VALUES(26,1.7960893900979876518e+09,NULL,'stage','d33bdd35c1d2a632d5e9aba33da045c2361e15130520480e3254fcfd550d65c5','QUEUED','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_id":"16870650cd945e5a876188faf31a24f0","attempt_no":1}');
INSERT INTO "events" VALUES(27,1.79608939018899488445e+09,NULL,'attempt','de7219e2810155aa87b2150e1cfe1342','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"is_charged":false}');
INSERT INTO "events" VALUES(28,1.79608939018899488445e+09,NULL,'stage','2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"failure":null}');
INSERT INTO "events" VALUES(29,1.79608939018899488445e+09,NULL,'stage','25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992','PLANNED','QUEUED','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(30,1.79608939018899488445e+09,NULL,'attempt','928f39ec854e5810bf4bddb6cd6f410a','','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"epoch":1,"stage_id":"25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992"}');
INSERT INTO "events" VALUES(31,1.79608939018899488445e+09,NULL,'stage','25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992','QUEUED','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_id":"928f39ec854e5810bf4bddb6cd6f410a","attempt_no":1}');
INSERT INTO "events" VALUES(32,1.79608939022999262806e+09,NULL,'attempt','16870650cd945e5a876188faf31a24f0','LEASED','USER_ERROR','driver b158990ff8724303ab4e3b412f39286e','{"is_charged":true}');
INSERT INTO "events" VALUES(33,1.79608939022999262806e+09,NULL,'stage','d33bdd35c1d2a632d5e9aba33da045c2361e15130520480e3254fcfd550d65c5','LEASED','FAILED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"failure":{"hash":"0303cd1823b1a4e2","kind":"USER_ERROR","message":"trouble was asked for"}}');
INSERT INTO "events" VALUES(34,1.79608939022999262806e+09,NULL,'stage','094e39a0eaea86f65b9f134dae7eaf5ce1ffa13efbd4ab2504db07575bb2c398','PLANNED','SKIPPED','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(35,1.79608939022999262806e+09,'4122ef29c87d59eb','trial','9886f1625d3a-s0','RUNNING','FAILED','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(36,1.79608939022999262806e+09,NULL,'attempt','82876e63e82e5ce5abb6a22babada4e2','','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"epoch":1,"stage_id":"b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00"}');
INSERT INTO "events" VALUES(37,1.79608939022999262806e+09,NULL,'stage','b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00','QUEUED','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_id":"82876e63e82e5ce5abb6a22babada4e2","attempt_no":1}');
INSERT INTO "events" VALUES(38,1.79608939022999262806e+09,'4122ef29c87d59eb','trial','26d9bc391d74-s0','PLANNED','RUNNING','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(39,1.79608939026998424529e+09,NULL,'attempt','928f39ec854e5810bf4bddb6cd6f410a','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"is_charged":false}');
INSERT INTO "events" VALUES(40,1.79608939026998424529e+09,NULL,'stage','25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"failure":null}');
INSERT INTO "events" VALUES(41,1.79608939026998424529e+09,'c4c0d38f243ad414','trial','f8fab606c86d-s0','RUNNING','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(42,1.79608939026998424529e+09,NULL,'attempt','ccc18132f5535ba2b00cb974c3b57cd4','','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"epoch":1,"stage_id":"0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4"}');
INSERT INTO "events" VALUES(43,1.79608939026998424529e+09,NULL,'stage','0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4','QUEUED','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_id":"ccc18132f5535ba2b00cb974c3b57cd4","attempt_no":1}');
INSERT INTO "events" VALUES(44,1.79608939033801841733e+09,NULL,'attempt','82876e63e82e5ce5abb6a22babada4e2','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"is_charged":false}');
INSERT INTO "events" VALUES(45,1.79608939033801841733e+09,NULL,'stage','b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"failure":null}');
INSERT INTO "events" VALUES(46,1.79608939033801841733e+09,NULL,'stage','e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85','PLANNED','QUEUED','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(47,1.79608939033801841733e+09,NULL,'attempt','3161ddea55ec512d8aa00eec906aef8e','','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"epoch":1,"stage_id":"e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85"}');
INSERT INTO "events" VALUES(48,1.79608939033801841733e+09,NULL,'stage','e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85','QUEUED','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_id":"3161ddea55ec512d8aa00eec906aef8e","attempt_no":1}');
INSERT INTO "events" VALUES(49,1.79608939058601570128e+09,NULL,'attempt','ccc18132f5535ba2b00cb974c3b57cd4','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"is_charged":false}');
INSERT INTO "events" VALUES(50,1.79608939058601570128e+09,NULL,'stage','0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"failure":null}');
INSERT INTO "events" VALUES(51,1.79608939058601570128e+09,NULL,'stage','f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650','PLANNED','QUEUED','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(52,1.79608939058601570128e+09,NULL,'attempt','d4a98c00f66255839e8032f87171bde9','','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"epoch":1,"stage_id":"f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650"}');
INSERT INTO "events" VALUES(53,1.79608939058601570128e+09,NULL,'stage','f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650','QUEUED','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_id":"d4a98c00f66255839e8032f87171bde9","attempt_no":1}');
INSERT INTO "events" VALUES(54,1.79608939070200777053e+09,NULL,'attempt','3161ddea55ec512d8aa00eec906aef8e','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"is_charged":false}');
INSERT INTO "events" VALUES(55,1.79608939070200777053e+09,NULL,'stage','e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"failure":null}');
INSERT INTO "events" VALUES(56,1.79608939070200777053e+09,NULL,'stage','6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6','PLANNED','QUEUED','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(57,1.79608939070200777053e+09,NULL,'attempt','3ee8af936ee15f9392743294f5ca0dcf','','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"epoch":1,"stage_id":"6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6"}');
INSERT INTO "events" VALUES(58,1.79608939070200777053e+09,NULL,'stage','6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6','QUEUED','LEASED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_id":"3ee8af936ee15f9392743294f5ca0dcf","attempt_no":1}');
INSERT INTO "events" VALUES(59,1.79608939076601862912e+09,NULL,'attempt','d4a98c00f66255839e8032f87171bde9','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"is_charged":false}');
INSERT INTO "events" VALUES(60,1.79608939076601862912e+09,NULL,'stage','f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"failure":null}');
INSERT INTO "events" VALUES(61,1.79608939076601862912e+09,'c4c0d38f243ad414','trial','d3b747562902-s0','RUNNING','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(62,1.79608939076601862912e+09,'c4c0d38f243ad414','study','c4c0d38f243ad414','RUNNING','COMPLETED','driver b158990ff8724303ab4e3b412f39286e','{"reason":""}');
INSERT INTO "events" VALUES(63,1.79608939080999350547e+09,NULL,'attempt','3ee8af936ee15f9392743294f5ca0dcf','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"is_charged":false}');
INSERT INTO "events" VALUES(64,1.79608939080999350547e+09,NULL,'stage','6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6','LEASED','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{"attempt_no":1,"failure":null}');
INSERT INTO "events" VALUES(65,1.79608939080999350547e+09,'4122ef29c87d59eb','trial','26d9bc391d74-s0','RUNNING','SUCCEEDED','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(66,1.79608939080999350547e+09,'4122ef29c87d59eb','study','4122ef29c87d59eb','RUNNING','COMPLETED_WITH_FAILURES','driver b158990ff8724303ab4e3b412f39286e','{"reason":""}');
INSERT INTO "events" VALUES(67,1.79608939082600617409e+09,NULL,'driver','b158990ff8724303ab4e3b412f39286e','DRIVING','LEFT','driver b158990ff8724303ab4e3b412f39286e','{}');
INSERT INTO "events" VALUES(68,1.79608939083799576752e+09,NULL,'driver','ec5a894d1b514b4cafd15efcf17d70f6','','DRIVING','driver ec5a894d1b514b4cafd15efcf17d70f6','{"epoch":2}');
INSERT INTO "events" VALUES(69,1.79608939114400887487e+09,NULL,'driver','ec5a894d1b514b4cafd15efcf17d70f6','DRIVING','LEFT','driver ec5a894d1b514b4cafd15efcf17d70f6','{}');
INSERT INTO "events" VALUES(70,1.79608939115499258044e+09,'136f7a648c4a9a26','study','136f7a648c4a9a26','','QUEUED','submit','{"version":1}');
CREATE TABLE scores (
	stage_id VARCHAR(64) NOT NULL, 
	benchmark VARCHAR(100) NOT NULL, 
	value DOUBLE NOT NULL, 
	value_lenient DOUBLE, 
	num_items INTEGER NOT NULL, 
	num_unparseable INTEGER NOT NULL, 
	is_complete BOOLEAN NOT NULL, 
	tokens_per_image DOUBLE, 
	CONSTRAINT pk_scores PRIMARY KEY (stage_id, benchmark), 
	CONSTRAINT fk_scores_stage_id FOREIGN KEY(stage_id) REFERENCES stages (stage_id)
);
INSERT INTO "scores" VALUES('25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992','a',3.85196173097938299179e+01,3.85196173097938299179e+01,10,0,1,16.0);
INSERT INTO "scores" VALUES('f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650','a',1.92452461225911974906e+01,1.92452461225911974906e+01,10,0,1,16.0);
INSERT INTO "scores" VALUES('6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6','a',5.49218591302633285522e+01,5.49218591302633285522e+01,10,0,1,16.0);
CREATE TABLE stage_parents (
	stage_id VARCHAR(64) NOT NULL, 
	parent_id VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_stage_parents PRIMARY KEY (stage_id, parent_id), 
	CONSTRAINT fk_stage_parents_parent_id FOREIGN KEY(parent_id) REFERENCES stages (stage_id), 
	CONSTRAINT fk_stage_parents_stage_id FOREIGN KEY(stage_id) REFERENCES stages (stage_id)
);
INSERT INTO "stage_parents" VALUES('2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070','cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e');
INSERT INTO "stage_parents" VALUES('25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992','2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070');
INSERT INTO "stage_parents" VALUES('0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4','cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e');
INSERT INTO "stage_parents" VALUES('f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650','0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4');
INSERT INTO "stage_parents" VALUES('d33bdd35c1d2a632d5e9aba33da045c2361e15130520480e3254fcfd550d65c5','29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2');
INSERT INTO "stage_parents" VALUES('094e39a0eaea86f65b9f134dae7eaf5ce1ffa13efbd4ab2504db07575bb2c398','d33bdd35c1d2a632d5e9aba33da045c2361e15130520480e3254fcfd550d65c5');
INSERT INTO "stage_parents" VALUES('e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85','b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00');
INSERT INTO "stage_parents" VALUES('6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6','e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85');
INSERT INTO "stage_parents" VALUES('7107753aca7715ea56a271fa7da6ce44ec832c0af027808c3560f9080633cd59','c30d61093c6b02772454540f580beecc3cea8278dcd4de853f1e93ee245e3ba5');
INSERT INTO "stage_parents" VALUES('5947253e2c6da7d80e2d423a2dcd0c06f11e01bde3b1ecb22b4d9fecec4560fd','7107753aca7715ea56a271fa7da6ce44ec832c0af027808c3560f9080633cd59');
INSERT INTO "stage_parents" VALUES('f3aed15228c22d674d95cf89b2ae83482b76eaeeb41bfbd58fffd922a698ff4f','6c9de025c6cec7e7e37aa3d40e684efb4f70165aade60b72b16e13b67431abb7');
INSERT INTO "stage_parents" VALUES('17ca09045612675f752c42b8d73184fce947063781e4287acac92d5f70518599','f3aed15228c22d674d95cf89b2ae83482b76eaeeb41bfbd58fffd922a698ff4f');
CREATE TABLE stages (
	stage_id VARCHAR(64) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	label TEXT NOT NULL, 
	spec TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	flops DOUBLE NOT NULL, 
	samples BIGINT NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	not_before DOUBLE NOT NULL, 
	attempts_made INTEGER NOT NULL, 
	charged_from INTEGER NOT NULL, 
	seconds DOUBLE, 
	artifact TEXT, 
	result TEXT, 
	created_at DOUBLE NOT NULL, workers INTEGER DEFAULT '1' NOT NULL, 
	CONSTRAINT pk_stages PRIMARY KEY (stage_id)
);
INSERT INTO "stages" VALUES('cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e','pretrain','pretrain','{"kind":"pretrain","parent_id":null,"toy":{"own":"","steps":4}}',0,1.0,1,'SUCCEEDED',0.0,1,0,5.21969390001686406321e-02,'stages/cb/cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e/attempts/0001/out','{"loss":2.836775641189888,"resumed_from":0,"samples":4}',1.79608938987400984762e+09,1);
INSERT INTO "stages" VALUES('2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070','sft','sft science=0 seed 0','{"kind":"sft","parent_id":"cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e","seed":0,"toy":{"level":0,"steps":4,"trouble":""}}',1,1.0,1,'SUCCEEDED',0.0,1,0,4.41981780004425672814e-02,'stages/2c/2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070/attempts/0001/out','{"loss":4.868574643274769,"resumed_from":0,"samples":4}',1.79608938987400984762e+09,1);
INSERT INTO "stages" VALUES('25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992','evaluate','a science=0 seed 0','{"benchmark":"a","kind":"evaluate","parent_id":"2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070","toy":{}}',2,1.0,1,'SUCCEEDED',0.0,1,0,1.39776209998672129586e-02,'stages/25/25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992/attempts/0001/out','{"benchmark":"a","is_complete":true,"num_items":10,"num_unparseable":0,"score":38.51961730979383,"score_lenient":38.51961730979383,"seconds":0.0,"tokens_per_image":16.0}',1.79608938987400984762e+09,1);
INSERT INTO "stages" VALUES('0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4','sft','sft science=1 seed 0','{"kind":"sft","parent_id":"cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e","seed":0,"toy":{"level":1,"steps":4,"trouble":""}}',3,1.0,1,'SUCCEEDED',0.0,1,0,2.1069089100001292536e-01,'stages/0a/0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4/attempts/0001/out','{"loss":4.432821825612336,"resumed_from":0,"samples":4}',1.79608938987400984762e+09,1);
INSERT INTO "stages" VALUES('f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650','evaluate','a science=1 seed 0','{"benchmark":"a","kind":"evaluate","parent_id":"0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4","toy":{}}',4,1.0,1,'SUCCEEDED',0.0,1,0,0.0196198319999894,'stages/f2/f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650/attempts/0001/out','{"benchmark":"a","is_complete":true,"num_items":10,"num_unparseable":0,"score":19.245246122591197,"score_lenient":19.245246122591197,"seconds":0.0,"tokens_per_image":16.0}',1.79608938987400984762e+09,1);
INSERT INTO "stages" VALUES('29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2','pretrain','pretrain','{"kind":"pretrain","parent_id":null,"toy":{"own":"9886f1625d3a 0","steps":4}}',0,1.0,1,'SUCCEEDED',0.0,1,0,3.96875989999898592941e-02,'stages/29/29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2/attempts/0001/out','{"loss":2.836775641189888,"resumed_from":0,"samples":4}',1796089389.893,1);
INSERT INTO "stages" VALUES('d33bdd35c1d2a632d5e9aba33da045c2361e15130520480e3254fcfd550d65c5','sft','sft science=3 seed 0','{"kind":"sft","parent_id":"29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2","seed":0,"toy":{"level":3,"steps":4,"trouble":"error"}}',1,1.0,1,'FAILED',0.0,1,0,NULL,NULL,NULL,1796089389.893,1);
INSERT INTO "stages" VALUES('094e39a0eaea86f65b9f134dae7eaf5ce1ffa13efbd4ab2504db07575bb2c398','evaluate','a science=3 seed 0','{"benchmark":"a","kind":"evaluate","parent_id":"d33bdd35c1d2a632d5e9aba33da045c2361e15130520480e3254fcfd550d65c5","toy":{}}',2,1.0,1,'SKIPPED',0.0,0,0,NULL,NULL,NULL,1796089389.893,1);
INSERT INTO "stages" VALUES('b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00','pretrain','pretrain','{"kind":"pretrain","parent_id":null,"toy":{"own":"26d9bc391d74 0","steps":4}}',3,1.0,1,'SUCCEEDED',0.0,1,0,4.81917800007067853584e-02,'stages/b0/b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00/attempts/0001/out','{"loss":2.836775641189888,"resumed_from":0,"samples":4}',1796089389.893,1);
INSERT INTO "stages" VALUES('e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85','sft','sft science=4 seed 0','{"kind":"sft","parent_id":"b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00","seed":0,"toy":{"level":4,"steps":4,"trouble":""}}',4,1.0,1,'SUCCEEDED',0.0,1,0,7.03120850002960651181e-02,'stages/e0/e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85/attempts/0001/out','{"loss":5.672518832841888,"resumed_from":0,"samples":4}',1796089389.893,1);
INSERT INTO "stages" VALUES('6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6','evaluate','a science=4 seed 0','{"benchmark":"a","kind":"evaluate","parent_id":"e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85","toy":{}}',5,1.0,1,'SUCCEEDED',0.0,1,0,1.59597850006321095861e-02,'stages/6c/6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6/attempts/0001/out','{"benchmark":"a","is_complete":true,"num_items":10,"num_unparseable":0,"score":54.92185913026333,"score_lenient":54.92185913026333,"seconds":0.0,"tokens_per_image":16.0}',1796089389.893,1);
INSERT INTO "stages" VALUES('c30d61093c6b02772454540f580beecc3cea8278dcd4de853f1e93ee245e3ba5','pretrain','pretrain','{"kind":"pretrain","parent_id":null,"toy":{"own":"a458b6289c7a 0","steps":4}}',0,1.0,1,'PLANNED',0.0,0,0,NULL,NULL,NULL,1.79608939115599846843e+09,1);
INSERT INTO "stages" VALUES('7107753aca7715ea56a271fa7da6ce44ec832c0af027808c3560f9080633cd59','sft','sft science=5 seed 0','{"kind":"sft","parent_id":"c30d61093c6b02772454540f580beecc3cea8278dcd4de853f1e93ee245e3ba5","seed":0,"toy":{"level":5,"steps":4,"trouble":""}}',1,1.0,1,'PLANNED',0.0,0,0,NULL,NULL,NULL,1.79608939115599846843e+09,1);
INSERT INTO "stages" VALUES('5947253e2c6da7d80e2d423a2dcd0c06f11e01bde3b1ecb22b4d9fecec4560fd','evaluate','a science=5 seed 0','{"benchmark":"a","kind":"evaluate","parent_id":"7107753aca7715ea56a271fa7da6ce44ec832c0af027808c3560f9080633cd59","toy":{}}',2,1.0,1,'PLANNED',0.0,0,0,NULL,NULL,NULL,1.79608939115599846843e+09,1);
INSERT INTO "stages" VALUES('6c9de025c6cec7e7e37aa3d40e684efb4f70165aade60b72b16e13b67431abb7','pretrain','pretrain','{"kind":"pretrain","parent_id":null,"toy":{"own":"73d8bed4101d 0","steps":4}}',3,1.0,1,'PLANNED',0.0,0,0,NULL,NULL,NULL,1.79608939115599846843e+09,1);
INSERT INTO "stages" VALUES('f3aed15228c22d674d95cf89b2ae83482b76eaeeb41bfbd58fffd922a698ff4f','sft','sft science=6 seed 0','{"kind":"sft","parent_id":"6c9de025c6cec7e7e37aa3d40e684efb4f70165aade60b72b16e13b67431abb7","seed":0,"toy":{"level":6,"steps":4,"trouble":""}}',4,1.0,1,'PLANNED',0.0,0,0,NULL,NULL,NULL,1.79608939115599846843e+09,1);
INSERT INTO "stages" VALUES('17ca09045612675f752c42b8d73184fce947063781e4287acac92d5f70518599','evaluate','a science=6 seed 0','{"benchmark":"a","kind":"evaluate","parent_id":"f3aed15228c22d674d95cf89b2ae83482b76eaeeb41bfbd58fffd922a698ff4f","toy":{}}',5,1.0,1,'PLANNED',0.0,0,0,NULL,NULL,NULL,1.79608939115599846843e+09,1);
CREATE TABLE studies (
	study_id VARCHAR(64) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	scale VARCHAR(64) NOT NULL, 
	version INTEGER NOT NULL, 
	spec_hash VARCHAR(64) NOT NULL, 
	spec TEXT NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	reason TEXT NOT NULL, 
	requested_stages INTEGER NOT NULL, 
	parallel INTEGER NOT NULL, 
	created_at DOUBLE NOT NULL, 
	ended_at DOUBLE, grows BOOLEAN DEFAULT 0 NOT NULL, estimate TEXT, priority INTEGER DEFAULT '0' NOT NULL, max_slots INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_studies PRIMARY KEY (study_id), 
	CONSTRAINT uq_studies_name UNIQUE (name, scale, spec_hash), 
	CONSTRAINT uq_studies_version UNIQUE (name, scale, version)
);
INSERT INTO "studies" VALUES('c4c0d38f243ad414','done','toy',1,'469eca69ffedcc68b70a0977d76b39aba9d1ec0525f31c0c3e78d1ee8d7ab239','{"recipe":{"name":"toy"},"scale":{"name":"toy","steps":4},"study":{"name":"done","question":"?","recipe":"sft-ablation","seeds":1,"select":{"maximize":"mmbase"},"vary":{"sft.mixture.alpha.science":[0,1]}}}','COMPLETED','',6,1,1.79608938987099218368e+09,1.79608939076601862912e+09,0,NULL,0,0);
INSERT INTO "studies" VALUES('4122ef29c87d59eb','bad','toy',1,'923baf80cb023cba2f85a465d8921c8db1840199aa17194af62312427580d293','{"recipe":{"name":"toy"},"scale":{"name":"toy","steps":4},"study":{"name":"bad","question":"?","recipe":"sft-ablation","seeds":1,"select":{"maximize":"mmbase"},"vary":{"sft.mixture.alpha.science":[3,4]}}}','COMPLETED_WITH_FAILURES','',6,1,1.79608938989199399954e+09,1.79608939080999350547e+09,0,NULL,0,0);
INSERT INTO "studies" VALUES('136f7a648c4a9a26','waiting','toy',1,'fe8c8533b7f29619a1da424555b3e20e4226e158ee2431c9d388a9438862b0f5','{"recipe":{"name":"toy"},"scale":{"name":"toy","steps":4},"study":{"name":"waiting","question":"?","recipe":"sft-ablation","seeds":1,"select":{"maximize":"mmbase"},"vary":{"sft.mixture.alpha.science":[5,6]}}}','QUEUED','',6,1,1.79608939115499258044e+09,NULL,0,NULL,0,0);
CREATE TABLE tracking_outbox (
	id INTEGER NOT NULL, 
	subject VARCHAR(300) NOT NULL, 
	seq INTEGER NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	payload TEXT NOT NULL, 
	created_at DOUBLE NOT NULL, 
	sent_at DOUBLE, 
	CONSTRAINT pk_tracking_outbox PRIMARY KEY (id), 
	CONSTRAINT uq_tracking_outbox_subject UNIQUE (subject, seq)
);
INSERT INTO "tracking_outbox" VALUES(1,'trial:c4c0d38f243ad414:f8fab606c86d-s0',1,'trial_created','{"arm_key":"f8fab606c86d","arm_name":"science=0","at":1796089389.871998,"config":{"evaluate":{"benchmarks":["a"]}},"levels":{"sft.mixture.alpha.science":0},"rung":0,"scale":"toy","seed":0,"spec_hash":"469eca69ffedcc68b70a0977d76b39aba9d1ec0525f31c0c3e78d1ee8d7ab239","stage_ids":["cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e","2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070","25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992"],"study":"done","study_id":"c4c0d38f243ad414","trial_key":"f8fab606c86d-s0","version":1}',1.79608938987199807163e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(2,'trial:c4c0d38f243ad414:d3b747562902-s0',1,'trial_created','{"arm_key":"d3b747562902","arm_name":"science=1","at":1796089389.871998,"config":{"evaluate":{"benchmarks":["a"]}},"levels":{"sft.mixture.alpha.science":1},"rung":0,"scale":"toy","seed":0,"spec_hash":"469eca69ffedcc68b70a0977d76b39aba9d1ec0525f31c0c3e78d1ee8d7ab239","stage_ids":["cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e","0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4","f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650"],"study":"done","study_id":"c4c0d38f243ad414","trial_key":"d3b747562902-s0","version":1}',1.79608938987199807163e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(3,'trial:4122ef29c87d59eb:9886f1625d3a-s0',1,'trial_created','{"arm_key":"9886f1625d3a","arm_name":"science=3","at":1796089389.893,"config":{"evaluate":{"benchmarks":["a"]}},"levels":{"sft.mixture.alpha.science":3},"rung":0,"scale":"toy","seed":0,"spec_hash":"923baf80cb023cba2f85a465d8921c8db1840199aa17194af62312427580d293","stage_ids":["29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2","d33bdd35c1d2a632d5e9aba33da045c2361e15130520480e3254fcfd550d65c5","094e39a0eaea86f65b9f134dae7eaf5ce1ffa13efbd4ab2504db07575bb2c398"],"study":"bad","study_id":"4122ef29c87d59eb","trial_key":"9886f1625d3a-s0","version":1}',1796089389.893,NULL);
INSERT INTO "tracking_outbox" VALUES(4,'trial:4122ef29c87d59eb:26d9bc391d74-s0',1,'trial_created','{"arm_key":"26d9bc391d74","arm_name":"science=4","at":1796089389.893,"config":{"evaluate":{"benchmarks":["a"]}},"levels":{"sft.mixture.alpha.science":4},"rung":0,"scale":"toy","seed":0,"spec_hash":"923baf80cb023cba2f85a465d8921c8db1840199aa17194af62312427580d293","stage_ids":["b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00","e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85","6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6"],"study":"bad","study_id":"4122ef29c87d59eb","trial_key":"26d9bc391d74-s0","version":1}',1796089389.893,NULL);
INSERT INTO "tracking_outbox" VALUES(5,'attempt:0bc32356aa7b5a78b7769fb4235b6b6a',1,'attempt_started','{"at":1796089389.9179845,"attempt_id":"0bc32356aa7b5a78b7769fb4235b6b6a","attempt_no":1,"flops":1.0,"kind":"pretrain","label":"pretrain","parent_ids":[],"samples":1,"spec":{"kind":"pretrain","parent_id":null,"toy":{"own":"","steps":4}},"stage_id":"cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e","study_id":"c4c0d38f243ad414"}',1.79608938991798448565e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(6,'attempt:43541339aa1f559392922aaa2a556bcb',1,'attempt_started','{"at":1796089389.9179845,"attempt_id":"43541339aa1f559392922aaa2a556bcb","attempt_no":1,"flops":1.0,"kind":"pretrain","label":"pretrain","parent_ids":[],"samples":1,"spec":{"kind":"pretrain","parent_id":null,"toy":{"own":"9886f1625d3a 0","steps":4}},"stage_id":"29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2","study_id":"4122ef29c87d59eb"}',1.79608938991798448565e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(7,'attempt:0bc32356aa7b5a78b7769fb4235b6b6a',2,'attempt_finished','{"artifact":"stages/cb/cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e/attempts/0001/out","at":1796089390.0180042,"attempt_id":"0bc32356aa7b5a78b7769fb4235b6b6a","attempt_no":1,"failure":null,"kind":"pretrain","label":"pretrain","result":{"loss":2.836775641189888,"resumed_from":0,"samples":4},"seconds":0.05219693900016864,"stage_id":"cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e","state":"SUCCEEDED"}',1.796089390018004179e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(8,'attempt:de7219e2810155aa87b2150e1cfe1342',1,'attempt_started','{"at":1796089390.0180042,"attempt_id":"de7219e2810155aa87b2150e1cfe1342","attempt_no":1,"flops":1.0,"kind":"sft","label":"sft science=0 seed 0","parent_ids":["cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e"],"samples":1,"spec":{"kind":"sft","parent_id":"cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e","seed":0,"toy":{"level":0,"steps":4,"trouble":""}},"stage_id":"2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070","study_id":"c4c0d38f243ad414"}',1.796089390018004179e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(9,'attempt:43541339aa1f559392922aaa2a556bcb',2,'attempt_finished','{"artifact":"stages/29/29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2/attempts/0001/out","at":1796089390.0979877,"attempt_id":"43541339aa1f559392922aaa2a556bcb","attempt_no":1,"failure":null,"kind":"pretrain","label":"pretrain","result":{"loss":2.836775641189888,"resumed_from":0,"samples":4},"seconds":0.03968759899998986,"stage_id":"29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2","state":"SUCCEEDED"}',1.7960893900979876518e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(10,'attempt:16870650cd945e5a876188faf31a24f0',1,'attempt_started','{"at":1796089390.0979877,"attempt_id":"16870650cd945e5a876188faf31a24f0","attempt_no":1,"flops":1.0,"kind":"sft","label":"sft science=3 seed 0","parent_ids":["29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2"],"samples":1,"spec":{"kind":"sft","parent_id":"29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2","seed":0,"toy":{"level":3,"steps":4,"trouble":"error"}},"stage_id":"d33bdd35c1d2a632d5e9aba33da045c2361e15130520480e3254fcfd550d65c5","study_id":"4122ef29c87d59eb"}',1.7960893900979876518e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(11,'attempt:de7219e2810155aa87b2150e1cfe1342',2,'attempt_finished','{"artifact":"stages/2c/2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070/attempts/0001/out","at":1796089390.188995,"attempt_id":"de7219e2810155aa87b2150e1cfe1342","attempt_no":1,"failure":null,"kind":"sft","label":"sft science=0 seed 0","result":{"loss":4.868574643274769,"resumed_from":0,"samples":4},"seconds":0.04419817800044257,"stage_id":"2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070","state":"SUCCEEDED"}',1.79608939018899488445e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(12,'attempt:928f39ec854e5810bf4bddb6cd6f410a',1,'attempt_started','{"at":1796089390.188995,"attempt_id":"928f39ec854e5810bf4bddb6cd6f410a","attempt_no":1,"flops":1.0,"kind":"evaluate","label":"a science=0 seed 0","parent_ids":["2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070"],"samples":1,"spec":{"benchmark":"a","kind":"evaluate","parent_id":"2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070","toy":{}},"stage_id":"25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992","study_id":"c4c0d38f243ad414"}',1.79608939018899488445e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(13,'attempt:16870650cd945e5a876188faf31a24f0',2,'attempt_finished','{"artifact":null,"at":1796089390.2299926,"attempt_id":"16870650cd945e5a876188faf31a24f0","attempt_no":1,"failure":{"hash":"0303cd1823b1a4e2","kind":"USER_ERROR","message":"trouble was asked for","traceback":"Traceback (most recent call last):\n  File \"/ablate/orchestrator/attempt.py\", line 112, in run_attempt\n    result, failure = _execute(order, stages, journal, should_stop, identify, mirror), None\n                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/ablate/orchestrator/attempt.py\", line 143, in _execute\n    result = stages[kind](work)\n             ^^^^^^^^^^^^^^^^^^\n  File \"/ablate/tests/toy.py\", line 103, in _train\n    _trouble(work, step)\n  File \"/ablate/tests/toy.py\", line 166, in _trouble\n    raise ValueError(\"trouble was asked for\")\nValueError: trouble was asked for\n","type":"builtins.ValueError"},"kind":"sft","label":"sft science=3 seed 0","result":null,"seconds":0.0025414149995413027,"stage_id":"d33bdd35c1d2a632d5e9aba33da045c2361e15130520480e3254fcfd550d65c5","state":"USER_ERROR"}',1.79608939022999262806e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(14,'trial:4122ef29c87d59eb:9886f1625d3a-s0',2,'trial_finished','{"at":1796089390.2299926,"scores":{},"stage_ids":["29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2","d33bdd35c1d2a632d5e9aba33da045c2361e15130520480e3254fcfd550d65c5","094e39a0eaea86f65b9f134dae7eaf5ce1ffa13efbd4ab2504db07575bb2c398"],"state":"FAILED","study_id":"4122ef29c87d59eb","trial_key":"9886f1625d3a-s0"}',1.79608939022999262806e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(15,'attempt:82876e63e82e5ce5abb6a22babada4e2',1,'attempt_started','{"at":1796089390.2299926,"attempt_id":"82876e63e82e5ce5abb6a22babada4e2","attempt_no":1,"flops":1.0,"kind":"pretrain","label":"pretrain","parent_ids":[],"samples":1,"spec":{"kind":"pretrain","parent_id":null,"toy":{"own":"26d9bc391d74 0","steps":4}},"stage_id":"b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00","study_id":"4122ef29c87d59eb"}',1.79608939022999262806e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(16,'attempt:928f39ec854e5810bf4bddb6cd6f410a',2,'attempt_finished','{"artifact":"stages/25/25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992/attempts/0001/out","at":1796089390.2699842,"attempt_id":"928f39ec854e5810bf4bddb6cd6f410a","attempt_no":1,"failure":null,"kind":"evaluate","label":"a science=0 seed 0","result":{"benchmark":"a","is_complete":true,"num_items":10,"num_unparseable":0,"score":38.51961730979383,"score_lenient":38.51961730979383,"seconds":0.0,"tokens_per_image":16.0},"seconds":0.013977620999867213,"stage_id":"25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992","state":"SUCCEEDED"}',1.79608939026998424529e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(17,'trial:c4c0d38f243ad414:f8fab606c86d-s0',2,'trial_finished','{"at":1796089390.2699842,"scores":{"a":{"is_complete":true,"num_items":10,"num_unparseable":0,"stage_id":"25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992","tokens_per_image":16.0,"value":38.51961730979383,"value_lenient":38.51961730979383}},"stage_ids":["cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e","2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070","25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992"],"state":"SUCCEEDED","study_id":"c4c0d38f243ad414","trial_key":"f8fab606c86d-s0"}',1.79608939026998424529e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(18,'attempt:ccc18132f5535ba2b00cb974c3b57cd4',1,'attempt_started','{"at":1796089390.2699842,"attempt_id":"ccc18132f5535ba2b00cb974c3b57cd4","attempt_no":1,"flops":1.0,"kind":"sft","label":"sft science=1 seed 0","parent_ids":["cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e"],"samples":1,"spec":{"kind":"sft","parent_id":"cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e","seed":0,"toy":{"level":1,"steps":4,"trouble":""}},"stage_id":"0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4","study_id":"c4c0d38f243ad414"}',1.79608939026998424529e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(19,'attempt:82876e63e82e5ce5abb6a22babada4e2',2,'attempt_finished','{"artifact":"stages/b0/b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00/attempts/0001/out","at":1796089390.3380184,"attempt_id":"82876e63e82e5ce5abb6a22babada4e2","attempt_no":1,"failure":null,"kind":"pretrain","label":"pretrain","result":{"loss":2.836775641189888,"resumed_from":0,"samples":4},"seconds":0.048191780000706785,"stage_id":"b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00","state":"SUCCEEDED"}',1.79608939033801841733e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(20,'attempt:3161ddea55ec512d8aa00eec906aef8e',1,'attempt_started','{"at":1796089390.3380184,"attempt_id":"3161ddea55ec512d8aa00eec906aef8e","attempt_no":1,"flops":1.0,"kind":"sft","label":"sft science=4 seed 0","parent_ids":["b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00"],"samples":1,"spec":{"kind":"sft","parent_id":"b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00","seed":0,"toy":{"level":4,"steps":4,"trouble":""}},"stage_id":"e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85","study_id":"4122ef29c87d59eb"}',1.79608939033801841733e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(21,'attempt:ccc18132f5535ba2b00cb974c3b57cd4',2,'attempt_finished','{"artifact":"stages/0a/0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4/attempts/0001/out","at":1796089390.5860157,"attempt_id":"ccc18132f5535ba2b00cb974c3b57cd4","attempt_no":1,"failure":null,"kind":"sft","label":"sft science=1 seed 0","result":{"loss":4.432821825612336,"resumed_from":0,"samples":4},"seconds":0.21069089100001293,"stage_id":"0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4","state":"SUCCEEDED"}',1.79608939058601570128e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(22,'attempt:d4a98c00f66255839e8032f87171bde9',1,'attempt_started','{"at":1796089390.5860157,"attempt_id":"d4a98c00f66255839e8032f87171bde9","attempt_no":1,"flops":1.0,"kind":"evaluate","label":"a science=1 seed 0","parent_ids":["0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4"],"samples":1,"spec":{"benchmark":"a","kind":"evaluate","parent_id":"0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4","toy":{}},"stage_id":"f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650","study_id":"c4c0d38f243ad414"}',1.79608939058601570128e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(23,'attempt:3161ddea55ec512d8aa00eec906aef8e',2,'attempt_finished','{"artifact":"stages/e0/e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85/attempts/0001/out","at":1796089390.7020078,"attempt_id":"3161ddea55ec512d8aa00eec906aef8e","attempt_no":1,"failure":null,"kind":"sft","label":"sft science=4 seed 0","result":{"loss":5.672518832841888,"resumed_from":0,"samples":4},"seconds":0.07031208500029607,"stage_id":"e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85","state":"SUCCEEDED"}',1.79608939070200777053e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(24,'attempt:3ee8af936ee15f9392743294f5ca0dcf',1,'attempt_started','{"at":1796089390.7020078,"attempt_id":"3ee8af936ee15f9392743294f5ca0dcf","attempt_no":1,"flops":1.0,"kind":"evaluate","label":"a science=4 seed 0","parent_ids":["e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85"],"samples":1,"spec":{"benchmark":"a","kind":"evaluate","parent_id":"e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85","toy":{}},"stage_id":"6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6","study_id":"4122ef29c87d59eb"}',1.79608939070200777053e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(25,'attempt:d4a98c00f66255839e8032f87171bde9',2,'attempt_finished','{"artifact":"stages/f2/f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650/attempts/0001/out","at":1796089390.7660186,"attempt_id":"d4a98c00f66255839e8032f87171bde9","attempt_no":1,"failure":null,"kind":"evaluate","label":"a science=1 seed 0","result":{"benchmark":"a","is_complete":true,"num_items":10,"num_unparseable":0,"score":19.245246122591197,"score_lenient":19.245246122591197,"seconds":0.0,"tokens_per_image":16.0},"seconds":0.0196198319999894,"stage_id":"f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650","state":"SUCCEEDED"}',1.79608939076601862912e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(26,'trial:c4c0d38f243ad414:d3b747562902-s0',2,'trial_finished','{"at":1796089390.7660186,"scores":{"a":{"is_complete":true,"num_items":10,"num_unparseable":0,"stage_id":"f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650","tokens_per_image":16.0,"value":19.245246122591197,"value_lenient":19.245246122591197}},"stage_ids":["cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e","0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4","f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650"],"state":"SUCCEEDED","study_id":"c4c0d38f243ad414","trial_key":"d3b747562902-s0"}',1.79608939076601862912e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(27,'attempt:3ee8af936ee15f9392743294f5ca0dcf',2,'attempt_finished','{"artifact":"stages/6c/6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6/attempts/0001/out","at":1796089390.8099935,"attempt_id":"3ee8af936ee15f9392743294f5ca0dcf","attempt_no":1,"failure":null,"kind":"evaluate","label":"a science=4 seed 0","result":{"benchmark":"a","is_complete":true,"num_items":10,"num_unparseable":0,"score":54.92185913026333,"score_lenient":54.92185913026333,"seconds":0.0,"tokens_per_image":16.0},"seconds":0.01595978500063211,"stage_id":"6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6","state":"SUCCEEDED"}',1.79608939080999350547e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(28,'trial:4122ef29c87d59eb:26d9bc391d74-s0',2,'trial_finished','{"at":1796089390.8099935,"scores":{"a":{"is_complete":true,"num_items":10,"num_unparseable":0,"stage_id":"6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6","tokens_per_image":16.0,"value":54.92185913026333,"value_lenient":54.92185913026333}},"stage_ids":["b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00","e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85","6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6"],"state":"SUCCEEDED","study_id":"4122ef29c87d59eb","trial_key":"26d9bc391d74-s0"}',1.79608939080999350547e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(29,'trial:136f7a648c4a9a26:a458b6289c7a-s0',1,'trial_created','{"arm_key":"a458b6289c7a","arm_name":"science=5","at":1796089391.1549926,"config":{"evaluate":{"benchmarks":["a"]}},"levels":{"sft.mixture.alpha.science":5},"rung":0,"scale":"toy","seed":0,"spec_hash":"fe8c8533b7f29619a1da424555b3e20e4226e158ee2431c9d388a9438862b0f5","stage_ids":["c30d61093c6b02772454540f580beecc3cea8278dcd4de853f1e93ee245e3ba5","7107753aca7715ea56a271fa7da6ce44ec832c0af027808c3560f9080633cd59","5947253e2c6da7d80e2d423a2dcd0c06f11e01bde3b1ecb22b4d9fecec4560fd"],"study":"waiting","study_id":"136f7a648c4a9a26","trial_key":"a458b6289c7a-s0","version":1}',1.79608939115499258044e+09,NULL);
INSERT INTO "tracking_outbox" VALUES(30,'trial:136f7a648c4a9a26:73d8bed4101d-s0',1,'trial_created','{"arm_key":"73d8bed4101d","arm_name":"science=6","at":1796089391.1549926,"config":{"evaluate":{"benchmarks":["a"]}},"levels":{"sft.mixture.alpha.science":6},"rung":0,"scale":"toy","seed":0,"spec_hash":"fe8c8533b7f29619a1da424555b3e20e4226e158ee2431c9d388a9438862b0f5","stage_ids":["6c9de025c6cec7e7e37aa3d40e684efb4f70165aade60b72b16e13b67431abb7","f3aed15228c22d674d95cf89b2ae83482b76eaeeb41bfbd58fffd922a698ff4f","17ca09045612675f752c42b8d73184fce947063781e4287acac92d5f70518599"],"study":"waiting","study_id":"136f7a648c4a9a26","trial_key":"73d8bed4101d-s0","version":1}',1.79608939115499258044e+09,NULL);
CREATE TABLE tracking_subjects (
	subject VARCHAR(300) NOT NULL, 
	external_id VARCHAR(100) NOT NULL, 
	CONSTRAINT pk_tracking_subjects PRIMARY KEY (subject)
);
CREATE TABLE trial_stages (
	study_id VARCHAR(64) NOT NULL, 
	trial_key VARCHAR(200) NOT NULL, 
	position INTEGER NOT NULL, 
	stage_id VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_trial_stages PRIMARY KEY (study_id, trial_key, position), 
	CONSTRAINT fk_trial_stages_stage_id FOREIGN KEY(stage_id) REFERENCES stages (stage_id), 
	CONSTRAINT fk_trial_stages_study_id FOREIGN KEY(study_id, trial_key) REFERENCES trials (study_id, trial_key)
);
INSERT INTO "trial_stages" VALUES('c4c0d38f243ad414','f8fab606c86d-s0',0,'cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e');
INSERT INTO "trial_stages" VALUES('c4c0d38f243ad414','f8fab606c86d-s0',1,'2c7645d39c6f3256d875fc61b574904cdc88afae8f9c143e494968559f308070');
INSERT INTO "trial_stages" VALUES('c4c0d38f243ad414','f8fab606c86d-s0',2,'25bf55affbf9899bd3330e1d13d806a91968f1df969d6f655cdfe0808cb2a992');
INSERT INTO "trial_stages" VALUES('c4c0d38f243ad414','d3b747562902-s0',0,'cbd15f88b5f22ecc434b0aca14a855ba75b0766ef3eaa02ecdabc1bdf8f4621e');
INSERT INTO "trial_stages" VALUES('c4c0d38f243ad414','d3b747562902-s0',1,'0aeff1a3ec51a20b9210dd364356bd42e874eba85f03271469d431e8de4645a4');
INSERT INTO "trial_stages" VALUES('c4c0d38f243ad414','d3b747562902-s0',2,'f273979013363a42e75dd4d66a12fcd6739fb875db7dfc631cdd86b82ec55650');
INSERT INTO "trial_stages" VALUES('4122ef29c87d59eb','9886f1625d3a-s0',0,'29b57efc31560c5c6e6c1d25065e586b2f3a13174e98930aad2d2a08549374b2');
INSERT INTO "trial_stages" VALUES('4122ef29c87d59eb','9886f1625d3a-s0',1,'d33bdd35c1d2a632d5e9aba33da045c2361e15130520480e3254fcfd550d65c5');
INSERT INTO "trial_stages" VALUES('4122ef29c87d59eb','9886f1625d3a-s0',2,'094e39a0eaea86f65b9f134dae7eaf5ce1ffa13efbd4ab2504db07575bb2c398');
INSERT INTO "trial_stages" VALUES('4122ef29c87d59eb','26d9bc391d74-s0',0,'b0a9b7b45014dfe1a01dee6b7bf9bc096ffbc10c4ea52fd0032a0ef249358e00');
INSERT INTO "trial_stages" VALUES('4122ef29c87d59eb','26d9bc391d74-s0',1,'e06e451b61b494afc25c22c28bfd27f745faa9229126e13e5dc0ed5a7d989e85');
INSERT INTO "trial_stages" VALUES('4122ef29c87d59eb','26d9bc391d74-s0',2,'6cdd0d29c8b3b3474044b4dc174ef87711effbd4fb92a75e72d3a00382613ef6');
INSERT INTO "trial_stages" VALUES('136f7a648c4a9a26','a458b6289c7a-s0',0,'c30d61093c6b02772454540f580beecc3cea8278dcd4de853f1e93ee245e3ba5');
INSERT INTO "trial_stages" VALUES('136f7a648c4a9a26','a458b6289c7a-s0',1,'7107753aca7715ea56a271fa7da6ce44ec832c0af027808c3560f9080633cd59');
INSERT INTO "trial_stages" VALUES('136f7a648c4a9a26','a458b6289c7a-s0',2,'5947253e2c6da7d80e2d423a2dcd0c06f11e01bde3b1ecb22b4d9fecec4560fd');
INSERT INTO "trial_stages" VALUES('136f7a648c4a9a26','73d8bed4101d-s0',0,'6c9de025c6cec7e7e37aa3d40e684efb4f70165aade60b72b16e13b67431abb7');
INSERT INTO "trial_stages" VALUES('136f7a648c4a9a26','73d8bed4101d-s0',1,'f3aed15228c22d674d95cf89b2ae83482b76eaeeb41bfbd58fffd922a698ff4f');
INSERT INTO "trial_stages" VALUES('136f7a648c4a9a26','73d8bed4101d-s0',2,'17ca09045612675f752c42b8d73184fce947063781e4287acac92d5f70518599');
CREATE TABLE trials (
	study_id VARCHAR(64) NOT NULL, 
	trial_key VARCHAR(200) NOT NULL, 
	arm_key VARCHAR(200) NOT NULL, 
	seed INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	config TEXT NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	ended_at DOUBLE, rung INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_trials PRIMARY KEY (study_id, trial_key), 
	CONSTRAINT fk_trials_study_id FOREIGN KEY(study_id, arm_key) REFERENCES arms (study_id, arm_key)
);
INSERT INTO "trials" VALUES('c4c0d38f243ad414','f8fab606c86d-s0','f8fab606c86d',0,0,'{"evaluate":{"benchmarks":["a"]}}','SUCCEEDED',1.79608939026998424529e+09,0);
INSERT INTO "trials" VALUES('c4c0d38f243ad414','d3b747562902-s0','d3b747562902',0,1,'{"evaluate":{"benchmarks":["a"]}}','SUCCEEDED',1.79608939076601862912e+09,0);
INSERT INTO "trials" VALUES('4122ef29c87d59eb','9886f1625d3a-s0','9886f1625d3a',0,0,'{"evaluate":{"benchmarks":["a"]}}','FAILED',1.79608939022999262806e+09,0);
INSERT INTO "trials" VALUES('4122ef29c87d59eb','26d9bc391d74-s0','26d9bc391d74',0,1,'{"evaluate":{"benchmarks":["a"]}}','SUCCEEDED',1.79608939080999350547e+09,0);
INSERT INTO "trials" VALUES('136f7a648c4a9a26','a458b6289c7a-s0','a458b6289c7a',0,0,'{"evaluate":{"benchmarks":["a"]}}','PLANNED',NULL,0);
INSERT INTO "trials" VALUES('136f7a648c4a9a26','73d8bed4101d-s0','73d8bed4101d',0,1,'{"evaluate":{"benchmarks":["a"]}}','PLANNED',NULL,0);
CREATE INDEX ix_stages_state ON stages (state);
CREATE INDEX ix_stage_parents_parent_id ON stage_parents (parent_id);
CREATE INDEX ix_trial_stages_stage_id ON trial_stages (stage_id);
CREATE UNIQUE INDEX one_live ON attempts (stage_id) WHERE state IN ('LEASED', 'RUNNING');
CREATE UNIQUE INDEX one_success ON attempts (stage_id) WHERE state = 'SUCCEEDED';
CREATE INDEX ix_events_entity ON events (entity, entity_id);
CREATE INDEX ix_events_study_id ON events (study_id);
CREATE INDEX ix_tracking_outbox_unsent ON tracking_outbox (id) WHERE sent_at IS NULL;
COMMIT;
